// What a Harbor project may be called: `[a-z0-9]+(?:[._-][a-z0-9]+)*`, 1 to 255 characters (Harbor's
// src/server/v2.0/handler/project.go). It is narrower than an image path element, which may hold `__` or `--`.

const maxSpaceNameLength = 255;

export function isSpaceName(text: string): boolean {
  if (text.length === 0 || text.length > maxSpaceNameLength) return false;
  let separatorMayFollow = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    const alphanumeric = (code >= 97 && code <= 122) || (code >= 48 && code <= 57);
    if (!alphanumeric && !(separatorMayFollow && (code === 45 || code === 46 || code === 95))) return false;
    separatorMayFollow = alphanumeric;
  }
  return separatorMayFollow;
}
