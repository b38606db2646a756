import { expect } from "chai";
import fc from "fast-check";
import { catalogueOf } from "../../src/domain/catalogue.ts";
import {
  decodeCatalogue,
  encodeCatalogue,
  maxCatalogueLength,
  publishedCatalogueName,
  registryOfPublished,
  type PublishedCatalogue,
} from "../../src/domain/published-catalogue.ts";
import { space } from "../builders.ts";

const server = "https://harbor.test";
const spaces = [
  space("library", "public", 1),
  space("team-a", "private", 2),
  space("hub", "public", 3, true),
  space("quay", "private", 4, true),
];

describe("a published catalogue", () => {
  it("comes back as it was written", () => {
    const catalogue = catalogueOf(server, 1_000, spaces);
    expect(decodeCatalogue(encodeCatalogue(catalogue))?.catalogue).to.deep.equal(catalogue);
  });

  it("is as short as it can be, and the same in whatever order Harbor listed its spaces", () => {
    const { facts, text } = encodeCatalogue(catalogueOf(server, 1_000, spaces));
    expect(facts).to.deep.equal({ server, readAt: 1_000 });
    expect(text).to.equal('{"format":1,"spaces":[["hub",3,3],["library",1,1],["quay",4,2],["team-a",2,0]]}');
    expect(encodeCatalogue(catalogueOf(server, 2_000, [...spaces].reverse())).text).to.equal(text);
  });

  it("keeps its text while its spaces stay", () => {
    const catalogue = catalogueOf(server, 1_000, spaces);
    const later = encodeCatalogue({ ...catalogue, readAt: 2_000, stale: true });
    expect(later).to.deep.equal({ ...encodeCatalogue(catalogue), facts: { server, readAt: 2_000 } });
  });

  it("keeps its spaces, the very map, while its text stays, and is as old as it says", () => {
    const { text } = encodeCatalogue(catalogueOf(server, 1_000, spaces));
    const first = decodeCatalogue({ facts: { server, readAt: 1_000 }, text });
    const second = decodeCatalogue({ facts: { server, readAt: 2_000 }, text }, first);
    expect(second?.catalogue.spaces).to.equal(first?.catalogue.spaces);
    expect(second?.catalogue).to.include({ server, readAt: 2_000, stale: false });
    const other = encodeCatalogue(catalogueOf(server, 3_000, spaces.slice(1)));
    expect([...(decodeCatalogue(other, second)?.catalogue.spaces.keys() ?? [])]).to.have.length(3);
  });

  it("has the registry in its name", () => {
    expect(registryOfPublished(publishedCatalogueName("managed"))).to.equal("managed");
    expect(registryOfPublished("berth-last-good-policy")).to.equal(undefined);
  });

  const facts: PublishedCatalogue["facts"] = { server, readAt: 1 };
  const unreadable: [title: string, text: string][] = [
    ["no JSON", '{"format":1,'],
    ["another format", '{"format":2,"spaces":[]}'],
    ["no format", '{"spaces":[]}'],
    ["a space without id", '{"format":1,"spaces":[["a"]]}'],
    ["a space with id 0", '{"format":1,"spaces":[["a",0,0]]}'],
    ["a space without name", '{"format":1,"spaces":[["",1,0]]}'],
    ["traits that this release does not know", '{"format":1,"spaces":[["a",1,4]]}'],
    ["more text than any Harbor fills", " ".repeat(maxCatalogueLength + 1)],
  ];
  for (const [title, text] of unreadable) {
    it(`is none when it has ${title}`, () => {
      expect(decodeCatalogue({ facts, text })).to.equal(undefined);
    });
  }

  it("is never thrown at, whatever the text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(decodeCatalogue({ facts, text })).to.equal(undefined);
      }),
      { numRuns: 300 },
    );
  });
});
