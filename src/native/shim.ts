/** Placeholder: written by the native work. */
export {};
