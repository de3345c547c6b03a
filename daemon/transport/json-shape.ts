/**
 * What is wrong with the shape of a JSON text before it is parsed, or null: nested deeper than `depthMax`, or more than
 * `marksMax` brackets, commas and colons outside strings. A parser would build millions of objects first and be asked
 * later. Anything that is not JSON passes; the parser says so better.
 */
export function jsonShapeProblem(text: string, depthMax: number, marksMax: number): string | null {
  // Twice the depth in characters is the least that can be too deep, and no text has more marks than characters.
  if (text.length <= depthMax * 2 && text.length <= marksMax) return null;
  let depth = 0;
  let marks = 0;
  for (let index = 0; index < text.length; index += 1) {
    switch (text.charCodeAt(index)) {
      case 0x22: // "
        index = endOfString(text, index);
        break;
      case 0x5b: // [
      case 0x7b: // {
        depth += 1;
        if (depth > depthMax) return `it is nested deeper than ${depthMax} levels`;
        marks += 1;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth -= 1;
        break;
      case 0x2c: // ,
      case 0x3a: // :
        marks += 1;
        break;
      default:
    }
    if (marks > marksMax) return `it has more than ${marksMax} brackets, commas and colons`;
  }
  return null;
}

/** The index of the quote that ends the string opened at `start`, or the text's length. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes += 1;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}
