// One tag: what to copy, and a workload that runs it. The tag is asked for by itself, since lists may lack its digest.

import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { TagDetail } from "../http/people-shapes.ts";
import { AnswerView, StaleNotice } from "./answer-view.ts";
import { useAnswers } from "./answers.ts";
import { below, pathOf } from "./asking.ts";
import { CopyText } from "./copy-text.ts";
import { el, part } from "./element.ts";
import { Choice, Field } from "./fields.ts";
import { facts, Heading, Time } from "./parts.ts";
import { size } from "./reading-text.ts";
import { useSession } from "./session.ts";
import { platformsInWords } from "./tag-list.ts";
import { nameFor, workloadYaml, type Pulling, type WorkloadKind } from "./workload-yaml.ts";

export function TagView(): VNode {
  const { words, language, place } = useSession();
  const { namespace, registry, repository, tag } = place;
  const answers = useAnswers<TagDetail>(pathOf(below(namespace, "/tag"), { registry, repository, tag }));
  return el(
    "section",
    null,
    part(Heading, { level: 2, main: true, text: `${repository ?? ""}:${tag ?? ""}` }),
    part(AnswerView<TagDetail>, {
      answers,
      children: (detail) => [
        part(StaleNotice, detail),
        facts([
          [words.byTag, part(CopyText, { text: detail.reference, label: words.byTag })],
          [
            words.byDigest,
            detail.referenceByDigest === null
              ? words.noDigest
              : part(CopyText, { text: detail.referenceByDigest, label: words.byDigest }),
          ],
          detail.sizeBytes === null ? null : [words.size, size(detail.sizeBytes, language)],
          detail.platforms.length === 0 ? null : [words.platforms, platformsInWords(detail.platforms)],
          detail.pushedAt === null ? null : [words.pushed, part(Time, { time: detail.pushedAt })],
        ]),
        part(WorkloadForm, { detail }),
      ],
    }),
  );
}

function WorkloadForm({ detail }: { detail: TagDetail }): VNode {
  const { words, place } = useSession();
  const { namespace = "", repository = "" } = place;
  const [kind, setKind] = useState<WorkloadKind>("Deployment");
  const [by, setBy] = useState<"tag" | "digest">("tag");
  const [pulling, setPulling] = useState<Pulling>("IfNotPresent");
  const [name, setName] = useState(nameFor(repository));
  const image =
    by === "digest" && detail.referenceByDigest !== null ? detail.referenceByDigest : detail.reference;
  return el(
    "section",
    { class: "workload" },
    el("h3", null, words.readyYaml),
    el(
      "div",
      { class: "choices" },
      part(Choice<WorkloadKind>, {
        label: words.kind,
        value: kind,
        options: [
          ["Deployment", "Deployment"],
          ["Pod", "Pod"],
        ],
        onChoose: setKind,
      }),
      part(Choice<"tag" | "digest">, {
        label: words.imageBy,
        value: by,
        options: [
          ["tag", words.tag],
          ...(detail.referenceByDigest === null ? [] : [["digest", words.digest] as const]),
        ],
        onChoose: setBy,
      }),
      part(Choice<Pulling>, {
        label: "imagePullPolicy",
        value: pulling,
        options: [
          ["IfNotPresent", "IfNotPresent"],
          ["Always", "Always"],
        ],
        onChoose: setPulling,
      }),
      part(Field, { label: words.name, value: name, onInput: setName }),
    ),
    part(CopyText, {
      text: workloadYaml(kind, { name: nameFor(name), namespace, image, pulling }),
      label: words.readyYaml,
      block: true,
    }),
    el("p", { class: "muted" }, words.secretComesByItself),
  );
}
