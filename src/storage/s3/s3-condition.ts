/**
 * Knowledge about `If-None-Match: *`, which makes a PUT fail when the key is taken. AWS, Ceph, R2 and new MinIO honour
 * it; some servers refuse the header; the dangerous ones ignore it and overwrite. So it is trusted only when proven.
 */
export type ConditionalCreate = "auto" | "always" | "never";

export class ConditionKnowledge {
  #state: "unproven" | "honoured" | "not honoured";
  #acceptedPuts = 0;

  constructor(setting: ConditionalCreate) {
    this.#state = setting === "always" ? "honoured" : setting === "never" ? "not honoured" : "unproven";
  }

  /** A concurrent writer cannot slip in between. */
  get proven(): boolean {
    return this.#state === "honoured";
  }

  /** Send the header with conditional writes. */
  get sendHeader(): boolean {
    return this.#state !== "not honoured";
  }

  /** Look whether the key is taken before writing. */
  get lookFirst(): boolean {
    return this.#state !== "honoured";
  }

  /** The store said 412. */
  sawRefusal(): void {
    if (this.#state === "unproven") this.#state = "honoured";
  }

  /** The store refused the header itself, or was seen to ignore it. */
  sawDisregard(): void {
    this.#state = "not honoured";
  }

  /**
   * A conditional write was accepted. True when it should now be repeated with the same bytes, to see it refused: on the
   * second such write, so that a process that lives for one object never pays for it. The same bytes do no harm where the
   * header is ignored, and nothing foreign is left in the bucket.
   */
  sawAcceptance(): boolean {
    this.#acceptedPuts++;
    return this.#state === "unproven" && this.#acceptedPuts === 2;
  }
}
