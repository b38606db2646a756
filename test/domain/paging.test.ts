import { expect } from "chai";
import { inKeyOrder, pageOf } from "../../src/domain/paging.ts";

const self = { key: (text: string) => text, name: (text: string) => text };
const fruits = ["apple", "banana", "cherry", "date", "elder"];

/** All pages one after the other, each list made by `list` for that page. */
function walk(limit: number, list: (page: number) => readonly string[], search = ""): string[][] {
  const pages: string[][] = [];
  let after: string | undefined;
  do {
    const { items, next } = pageOf(list(pages.length), { search, after, limit }, self);
    pages.push(items);
    after = next ?? undefined;
  } while (after !== undefined && pages.length < 20);
  return pages;
}

describe("pageOf", () => {
  it("walks a list page by page, and ends with the last item", () => {
    expect(walk(2, () => fruits)).to.deep.equal([["apple", "banana"], ["cherry", "date"], ["elder"]]);
    expect(walk(5, () => fruits)).to.deep.equal([fruits]);
    expect(walk(6, () => fruits)).to.deep.equal([fruits]);
    expect(walk(1, () => fruits)).to.have.length(5);
    expect(walk(1, () => [])).to.deep.equal([[]]);
  });
  it("finds a part of the name, whatever the case of ASCII letters, and counts all of it", () => {
    const found = pageOf(["Alpha", "alphabet", "beta", "gALPHA"], { search: "aLpHa", limit: 2 }, self);
    expect(found).to.deep.equal({ items: ["Alpha", "alphabet"], next: "alphabet", total: 3 });
    expect(pageOf(fruits, { search: "zzz", limit: 2 }, self)).to.deep.equal({
      items: [],
      next: null,
      total: 0,
    });
    expect(pageOf(["\u212a"], { search: "k", limit: 2 }, self).total, "KELVIN SIGN").to.equal(0);
    expect(walk(1, () => fruits, "e")).to.deep.equal([["apple"], ["cherry"], ["date"], ["elder"]]);
  });
  it("searches names alone, and goes on by keys", () => {
    const places = ["a/x", "a/y", "a-b/x"];
    const by = { key: (text: string) => text, name: (text: string) => text.replace(/.*\//, "") };
    expect(pageOf(places, { search: "x", limit: 1 }, by)).to.deep.equal({
      items: ["a/x"],
      next: "a/x",
      total: 2,
    });
    expect(pageOf(places, { search: "x", after: "a/x", limit: 1 }, by).items).to.deep.equal(["a-b/x"]);
    expect(pageOf(places, { search: "a", limit: 9 }, by).total).to.equal(0);
  });
  it("neither repeats nor leaves out where the list changes in between, even by the item of the cursor", () => {
    expect(
      walk(2, (page) => (page === 0 ? fruits : fruits.filter((name) => name !== "banana"))),
    ).to.deep.equal([["apple", "banana"], ["cherry", "date"], ["elder"]]);
    expect(walk(2, (page) => (page === 0 ? fruits : ["aaa", ...fruits]))).to.have.length(3);
  });
  it("takes any text for a cursor", () => {
    expect(pageOf(fruits, { after: "", limit: 1 }, self).items).to.deep.equal(["apple"]);
    expect(pageOf(fruits, { after: "zzz", limit: 1 }, self)).to.deep.equal({
      items: [],
      next: null,
      total: 5,
    });
    expect(pageOf(fruits, { after: "\0", limit: 1 }, self).items).to.deep.equal(["apple"]);
  });
});

describe("the order of keys", () => {
  it("is that of their parts: what is before a slash first", () => {
    const sorted = ["a/x", "a/y", "a-b/x", "a.b/x", "a0/x", "b/a"];
    expect([...sorted].reverse().sort(inKeyOrder)).to.deep.equal(sorted);
    expect(inKeyOrder("a", "a")).to.equal(0);
  });
});
