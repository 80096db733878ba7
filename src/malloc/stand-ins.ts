/**
 * Functions that stand in the place of others and tell what they returned. A program does not see
 * the difference: name, length, static members and their order, subclasses, species, `instanceof`,
 * what Reflect.construct is given, errors for wrong arguments are those of the original.
 *
 * Not proxies: Node 26 prints those as such, and they are slower.
 */

export type Callable = (...given: unknown[]) => unknown;
export type Constructor = new (...given: unknown[]) => object;

const { apply, construct, defineProperty, getOwnPropertyDescriptor, ownKeys } = Reflect;

/** What is told of a call: its result, `this`, its arguments, and the function on the stack. */
export type Done = (
  made: unknown, self: unknown, given: readonly unknown[], below: Callable,
) => void;

/**
 * A constructor for a built-in one. It is a bound function, since that one reads as native code and
 * `instanceof` looks through it.
 */
export function constructorFor(original: Constructor, done: Done): Constructor {
  function bindable(this: unknown, ...given: unknown[]): unknown {
    // Without `new` it throws.
    if (new.target === undefined) return apply(original as unknown as Callable, this, given);
    const isOwn = (new.target as unknown) === bindable;
    const made = construct(original, given, isOwn ? original : new.target);
    done(made, undefined, given, bindable);
    return made;
  }
  bindable.prototype = original.prototype;
  const standIn = bindable.bind(undefined);
  dress(standIn, original);
  Object.setPrototypeOf(standIn, Object.getPrototypeOf(original));
  return standIn as unknown as Constructor;
}

/** A function or method for another. */
export function functionFor(original: Callable, done: Done): Callable {
  const isConstructor = Object.hasOwn(original, 'prototype');
  const standIn: Callable = isConstructor
    ? function constructible(this: unknown, ...given: unknown[]): unknown {
      const made = apply(original, this, given);
      done(made, this, given, standIn);
      return made;
    }
    : {
      // A method cannot be called with `new`, as built-in ones cannot.
      method(this: unknown, ...given: unknown[]): unknown {
        const made = apply(original, this, given);
        done(made, this, given, standIn);
        return made;
      },
    }.method;
  dress(standIn, original);
  return standIn;
}

/** Gives a function the properties of another. */
function dress(standIn: object, original: object): void {
  for (const key of ownKeys(original)) {
    defineProperty(standIn, key, getOwnPropertyDescriptor(original, key) as PropertyDescriptor);
  }
}
