/**
 * Fields that are set once. Where V8 knows an object it folds such fields of it into the code, and
 * theirs: of a region its blocks, of those their memory, down to where that lies (17 % of a replay
 * through `best`). A private name is set twice, once empty, so these are properties, declared only,
 * which nobody sees who looks at the object. Setting one again, as a rollback has to, is allowed:
 * it takes the gain, nothing else, from every object of the class.
 */

export function fix<T>(object: T, name: string, value: unknown): void {
  const old: unknown = Object.getOwnPropertyDescriptor(object, name)?.value;
  if (value !== old) Object.defineProperty(object, name, { value, configurable: true });
}
