import { expect } from "chai";
import { catalogueOf, type Space } from "../../src/domain/catalogue.ts";
import { pinBindings, pinKey } from "../../src/domain/pins.ts";
import { policyOf, registry, space } from "../builders.ts";

const bound = (...bindings: string[]) => policyOf({ registries: [registry("managed")], bindings });
const showing = (...spaces: Space[]) =>
  new Map([["managed", catalogueOf("https://managed.test", 1, spaces)]]);
const none = new Map<string, number>();

describe("pinBindings", () => {
  it("pins a binding to the id that its space has when it is first seen", () => {
    const pins = pinBindings(none, bound("12 managed/team-a"), showing(space("team-a", "private", 7)));
    expect(Object.fromEntries(pins)).to.deep.equal({ "managed/team-a/12": 7 });
  });
  it("keeps the pin when the name comes back with another id", () => {
    const before = new Map([["managed/team-a/12", 7]]);
    expect([
      ...pinBindings(before, bound("12 managed/team-a"), showing(space("team-a", "private", 8))),
    ]).to.deep.equal([...before]);
    expect(
      [...pinBindings(before, bound("12 managed/team-a"), showing())],
      "and while it is gone",
    ).to.deep.equal([...before]);
    expect(
      [...pinBindings(before, bound("12 managed/team-a"), new Map())],
      "and without a catalogue",
    ).to.deep.equal([...before]);
  });
  it("pins anew what is bound anew", () => {
    const before = new Map([["managed/team-a/12", 7]]);
    const catalogues = showing(space("team-a", "private", 8));
    const unbound = pinBindings(before, bound(), catalogues);
    expect(unbound.size).to.equal(0);
    expect([...pinBindings(unbound, bound("12 managed/team-a"), catalogues)]).to.deep.equal([
      ["managed/team-a/12", 8],
    ]);
  });
  it("waits for a space that nobody has seen yet", () => {
    expect(pinBindings(none, bound("12 managed/ghost"), showing()).size).to.equal(0);
  });
  it("leaves alone a binding that names its id", () => {
    expect(
      pinBindings(none, bound("12 managed/team-a 7"), showing(space("team-a", "private", 8))).size,
    ).to.equal(0);
  });
  it("tells bindings of two workspaces apart", () => {
    const pins = pinBindings(none, bound("12 managed/a", "13 managed/a"), showing(space("a", "private", 1)));
    expect([...pins.keys()]).to.deep.equal(["managed/a/12", "managed/a/13"]);
    expect(pinKey({ registry: "managed", space: "a", workspace: "12" })).to.equal("managed/a/12");
  });
});
