/** ISO 8601, whole seconds, UTC: `2026-11-21T20:45:00Z`, as Kubernetes writes times (its `metav1.Time`). */
export function toTimestamp(time: Date): string {
  return `${time.toISOString().slice(0, -".000Z".length)}Z`;
}
