/** Numbers: how values are written. */

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** A p-value or another small number, with two digits. */
export function small(value) {
  if (!known(value)) return "–";
  return value !== 0 && value < 0.001 ? value.toExponential(1) : value.toPrecision(2);
}

export function fixed(value, digits) {
  if (!known(value)) return "–";
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

/** A name as words: `emission_line` is "emission line". */
export function words(name) {
  return name ? name.replaceAll("_", " ") : "no cause";
}
