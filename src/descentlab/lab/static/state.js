/** The page's state: what each setting is called, and its key in the page's address. */
export const VERSION = 1;
export const STATE = Object.entries({
  lr: "lr",
  reduction: "r",
  epochs: "n",
  epoch: "e",
  momentum: "m",
  nesterov: "nag",
  forget: "f",
  start: "s",
  bias: "b",
  center: "c",
  standardize: "z",
  lang: "l",
}).map(([name, key]) => ({ name, key }));
