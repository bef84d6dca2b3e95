// Nearest names, for "did you mean": what a person most likely meant by a name that does not exist.

/**
 * The names closest to `wanted` by edit distance (a swap of neighbours counts once), nearest first, at
 * most `limit` of them, and only those near enough to be a likely slip: within a third of its length,
 * or containing it whole.
 */
export function nearest(wanted: string, names: Iterable<string>, limit = 3): string[] {
  const bound = Math.max(2, Math.floor(wanted.length / 3))
  const low = wanted.toLowerCase()
  const scored: { name: string; score: number }[] = []
  for (const name of names) {
    const other = name.toLowerCase()
    const score = Math.abs(other.length - low.length) <= bound ? distance(low, other, bound) : bound + 1
    if (score <= bound) scored.push({ name, score })
    else if (low.length >= 4 && other.includes(low)) scored.push({ name, score: bound + other.length - low.length })
  }
  scored.sort((a, b) => a.score - b.score || (a.name < b.name ? -1 : 1))
  return scored.slice(0, limit).map(({ name }) => name)
}

/** Optimal string alignment distance, or `bound + 1` as soon as it must exceed `bound`. */
function distance(a: string, b: string, bound: number): number {
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    let least = i
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2] + 1)
      row.push(cost)
      least = Math.min(least, cost)
    }
    if (least > bound) return bound + 1
    before = previous
    previous = row
  }
  return previous[b.length]
}
