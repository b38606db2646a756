// Why is this refused? For one image with all that led to the verdict; for manifests, each workload and image.

import type { ComponentChildren, VNode } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Explanation, ReportShape } from "../http/people-shapes.ts";
import { FailureView } from "./answer-view.ts";
import { AskError, below, pathOf } from "./asking.ts";
import { el, part } from "./element.ts";
import { badge, code, facts, Heading, name, notice, textOf } from "./parts.ts";
import { useSession } from "./session.ts";
import { reasonInWords, type Words } from "./words.ts";

interface Judged {
  readonly reports: readonly ReportShape[];
  readonly reasoning: Explanation["reasoning"];
}

export function WhyNot(): VNode {
  const { words, place, ask, turn } = useSession();
  const { namespace = "", image } = place;
  const [text, setText] = useState(image ?? "");
  const [judged, setJudged] = useState<Judged | null>(null);
  const [failure, setFailure] = useState<AskError | null>(null);
  const [busy, setBusy] = useState(false);
  const asking = useRef<AbortController | null>(null);
  const id = useId();

  const judge = async (given: string): Promise<void> => {
    asking.current?.abort();
    const aborter = new AbortController();
    asking.current = aborter;
    setBusy(true);
    setFailure(null);
    try {
      setJudged(await askForVerdict(given, aborter.signal));
    } catch (err) {
      if (aborter.signal.aborted) return;
      setJudged(null);
      setFailure(err instanceof AskError ? err : new AskError(500, "", { cause: err }));
    }
    setBusy(false);
  };
  const askForVerdict = async (given: string, signal: AbortSignal): Promise<Judged> => {
    if (isManifest(given)) {
      const reports = await ask<readonly ReportShape[]>(below(namespace, "/verdicts"), {
        signal,
        body: given,
      });
      return { reports, reasoning: [] };
    }
    const path = pathOf(below(namespace, "/explanation"), { image: given });
    const { report, reasoning } = await ask<Explanation>(path, { signal });
    return { reports: [report], reasoning };
  };

  // An image in the address was sent by somebody, or is the one that was asked for before.
  useEffect(() => {
    if (image !== undefined) {
      setText(image);
      void judge(image);
    }
    return () => asking.current?.abort();
  }, [image]);

  const submit = (event?: Event): void => {
    event?.preventDefault();
    const given = text.trim();
    if (given === "") return;
    // Manifests are not put into the address: they are long, and may hold what is nobody's business.
    if (isManifest(given) || given === image) void judge(given);
    else turn({ ...place, image: given });
  };
  return el(
    "section",
    null,
    part(Heading, { level: 1, main: true, text: words.whyNotIn(namespace) }),
    el(
      "form",
      { onSubmit: submit },
      el("label", { for: id }, words.imageOrManifests),
      el("textarea", {
        id,
        rows: text.includes("\n") ? 12 : 3,
        value: text,
        spellcheck: false,
        autocomplete: "off",
        placeholder: words.imageExample,
        onInput: ({ currentTarget }) => setText(currentTarget.value),
        onKeyDown: (event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
        },
      }),
      el("button", { type: "submit", "aria-busy": busy ? "true" : "false" }, words.judge),
    ),
    el(
      "div",
      { "aria-live": "polite", class: "answer" },
      failure !== null && part(FailureView, { failure, onRetry: submit }),
      judged !== null && verdicts(judged, words),
    ),
  );
}

function isManifest(text: string): boolean {
  return /\s/.test(text) || text.startsWith("{");
}

function verdicts({ reports, reasoning }: Judged, words: Words): ComponentChildren {
  if (reports.length === 0) return notice("info", words.nothingToJudge);
  return [
    ...reports.map((report) => reportView(report, words)),
    reasoning.length > 0 &&
      el(
        "section",
        null,
        el("h2", null, words.reasoning),
        el("div", { lang: "en" }, facts(reasoning.map(({ what, text }) => [what, name(text)] as const))),
      ),
  ];
}

function reportView(report: ReportShape, words: Words): VNode {
  const refused = report.verdict === "refuse";
  const subject = [report.kind, report.name].filter((part) => part !== "").join(" ");
  return el(
    "article",
    { class: refused ? "verdict refused" : "verdict allowed" },
    el(
      "h2",
      null,
      badge(refused ? words.refused : words.allowed, refused ? "bad" : "good"),
      " ",
      report.kind === "Image" ? words.image : name(subject),
      " ",
      el("small", { class: "muted" }, words.inNamespace, " ", name(report.namespace)),
    ),
    report.message !== null && textOf(report.message),
    report.images.length === 0
      ? el("p", { class: "muted" }, words.noImages)
      : el("ul", { class: "images" }, ...report.images.map((image) => imageView(image, words))),
    !refused && report.images.length > 0 && el("p", null, pullSecretInWords(report, words)),
  );
}

function imageView(image: ReportShape["images"][number], words: Words): VNode {
  const meaning = reasonInWords(words, image.reason);
  return el(
    "li",
    null,
    el("div", null, code(image.image), " ", image.container !== null && ["(", name(image.container), ")"]),
    el("div", null, badge(image.reason, image.allowed ? "good" : "bad"), " ", meaning),
  );
}

function pullSecretInWords({ pullSecret }: ReportShape, words: Words): ComponentChildren {
  return pullSecret === null ? words.noPullSecret : [words.pullSecretAdded, " ", code(pullSecret)];
}
