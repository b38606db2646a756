// How often a property is tried: as written, or a multiple of it for a night of looking.

const factor = Number(process.env["BERTH_FUZZ_RUNS"] ?? 1);

export function fuzzRuns(runs: number): number {
  return Math.max(1, Math.round(runs * (Number.isFinite(factor) && factor > 0 ? factor : 1)));
}
