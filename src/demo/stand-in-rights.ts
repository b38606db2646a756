// What a robot of the stand-in Harbor can be given at all, as `GET /permissions` of a Harbor 2.16 lists it. What
// stands out: no robot can be given `robot:update`.

export interface Access {
  readonly resource: string;
  readonly action: string;
  readonly effect?: string;
}

// A line: the resource, then its actions.
const onSystem = `
  audit-log list
  preheat-instance read create delete list update
  project list create
  replication-policy read create delete list update
  replication read create list
  replication-adapter list
  registry read create delete list update
  scan-all read update stop create
  system-volumes read
  garbage-collection read create list update stop
  purge-audit read create list update stop
  jobservice-monitor list stop
  scanner read create delete list update
  label read create delete update
  security-hub read list
  catalog read
  quota read list
  robot create read list delete
  user create read update list delete
  ldap-user create list
  quota update
  user-group create read update list delete`;

const onProject = `
  log list
  project read delete update
  metadata read create delete list update
  repository read update delete list pull push
  artifact read create list delete
  scan create read stop
  sbom create stop read
  tag create list delete
  accessory list
  artifact-addition read
  artifact-label create delete
  scanner create read
  preheat-policy read create delete list update
  immutable-tag create delete list update
  notification-policy read create delete list update
  tag-retention read create delete list update
  label read create delete list update
  quota read
  robot create read list delete
  export-cve create read
  member create read update list delete`;

export const robotRights: Readonly<Record<"system" | "project", readonly Access[]>> = {
  system: rightsOf(onSystem),
  project: rightsOf(onProject),
};

function rightsOf(table: string): readonly Access[] {
  return table
    .trim()
    .split("\n")
    .flatMap((line) => {
      const [resource = "", ...actions] = line.trim().split(" ");
      return actions.map((action) => ({ resource, action }));
    });
}
