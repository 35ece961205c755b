/** `20261121094500`, UTC: how names are made from times (CloudNativePG's "compact ISO 8601"). */
export function compactTimestamp(time: Date): string {
  return time.toISOString().replaceAll(/[-:T]/g, "").slice(0, "20261121094500".length);
}
