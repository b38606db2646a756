// How the stand-in Harbor lists, whatever it lists: `q` and `sort`, pages, the total, and the links to the pages
// around. Of Harbor's `q` it knows exact (`name=x`) and fuzzy (`name=~x`) values and lists of which one is enough
// (`project_id={1 2}`), not ranges and lists of which all are meant.

import { ok, problem, type Answer, type Ask } from "./stand-in-answer.ts";

const maxPageSize = 100;

/** Text or number, by which a row can be found and sorted. */
export type Keys<Row> = Readonly<Record<string, (row: Row) => string | number>>;

/** What `q` and `sort` say, applied; an answer when `q` says nothing intelligible. */
export function select<Row>(
  { query }: Ask,
  rows: readonly Row[],
  keys: Keys<Row>,
  defaultSort: string,
): readonly Row[] | Answer {
  const wanted = keywordsOf(query);
  if (wanted === undefined) {
    return problem(400, `the query string must contain "=" and the key/value cannot be empty`);
  }
  const broken = [...wanted.values()].find((pattern) => pattern.startsWith("{") && !pattern.endsWith("}"));
  if (broken !== undefined) return problem(400, `invalid query string value: ${broken}`);
  const found = rows.filter((row) =>
    [...wanted].every(([name, pattern]) => {
      const key = keys[name];
      return key === undefined || matches(String(key(row)), pattern);
    }),
  );
  return found.sort(orderBy(query.get("sort") ?? defaultSort, keys));
}

/** `name=app,tags=~v` by name; undefined when it is not of that form. */
export function keywordsOf(query: URLSearchParams): ReadonlyMap<string, string> | undefined {
  const text = query.get("q") ?? "";
  if (text === "") return new Map();
  const keywords = new Map<string, string>();
  for (const part of text.split(",")) {
    const [, key, value] = /^([^=]+)=(.+)$/.exec(part) ?? [];
    if (key === undefined || value === undefined) return undefined;
    keywords.set(key, value);
  }
  return keywords;
}

/** A part of a value is found whatever its case; a list of nothing is no condition at all. */
function matches(value: string, pattern: string): boolean {
  if (pattern.startsWith("~")) return value.toLowerCase().includes(pattern.slice(1).toLowerCase());
  if (!pattern.startsWith("{")) return value === pattern;
  const values = pattern.slice(1, -1).split(" ").filter(Boolean);
  return values.length === 0 || values.includes(value);
}

/** The page that was asked for. */
export function listing<Row>(ask: Ask, rows: readonly Row[], present: (row: Row) => unknown): Answer {
  const { query } = ask;
  const pageSize = Number(query.get("page_size") ?? "10");
  if (pageSize > maxPageSize) {
    const text = "validation failure list:\npage_size in query should be less than or equal to 100";
    return problem(422, text);
  }
  // Zero and below stand for everything; nobody wrote that down.
  const page = Number(query.get("page") ?? "1");
  const shown = pageSize <= 0 ? rows : rows.slice((page - 1) * pageSize, page * pageSize);
  const links = pageSize <= 0 ? "" : linksAround(ask, page, pageSize, rows.length);
  return ok(shown.map(present), {
    "x-total-count": String(rows.length),
    ...(links === "" ? {} : { link: links }),
  });
}

/** `-push_time,-id`; what cannot be sorted by is passed over. */
function orderBy<Row>(sort: string, keys: Keys<Row>): (a: Row, b: Row) => number {
  const orders = sort.split(",").flatMap((text) => {
    const key = keys[text.replace(/^-/, "")];
    return key === undefined ? [] : [{ key, sign: text.startsWith("-") ? -1 : 1 }];
  });
  return (a, b) => {
    for (const { key, sign } of orders) {
      const [first, second] = [key(a), key(b)];
      if (first !== second) return sign * (first < second ? -1 : 1);
    }
    return 0;
  };
}

/** Relative, with its query sorted and not escaped, `prev` first. */
function linksAround({ path, query }: Ask, page: number, pageSize: number, total: number): string {
  function linkTo(number: number, rel: string): string {
    const all = new Map([...query, ["page", String(number)], ["page_size", String(pageSize)]]);
    const text = [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value}`);
    return `<${path}?${text.join("&")}>; rel="${rel}"`;
  }
  const links: string[] = [];
  if (page > 1 && (page - 1) * pageSize < total) links.push(linkTo(page - 1, "prev"));
  if (page * pageSize < total) links.push(linkTo(page + 1, "next"));
  return links.join(" , ");
}
