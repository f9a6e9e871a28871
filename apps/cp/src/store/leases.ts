import {
  addSecs,
  type Dispatch,
  type HostName,
  type Instant,
  later,
  type RolloutId,
} from "@nixwave/effects";

/** How long a dispatch that was handed out is the agent's. Twice the longest usual poll, so that one lost answer costs no lease. */
export const LEASE_SECS = 120;

/** Of one host: what was dispatched before the last few was answered or has run out long ago. */
const LEASES_MAX = 4;

interface Lease {
  readonly dispatch: Dispatch;
  readonly logged: Instant | null;
  held: Instant;
}

/**
 * Renewals stay in memory. The FleetState is shown the instant until which a lease is held; rows and lines keep the one that was logged,
 * so that a fold of the log gives the same rows.
 */
export class Leases {
  /** A dispatch is withdrawn after its successor was handed out, now and then: each has its own lease. */
  readonly #byHost = new Map<HostName, Map<RolloutId, Lease>>();

  /** As rows have it: a change that was derived from the fleet in memory is given back what the log says. */
  logged(dispatch: Dispatch): Dispatch {
    const lease = this.#of(dispatch);
    return lease === null || lease.logged === dispatch.leaseUntil
      ? dispatch
      : { ...dispatch, leaseUntil: lease.logged };
  }

  /** As the FleetState is shown it. */
  held(dispatch: Dispatch): Dispatch {
    const lease = this.#of(dispatch);
    if (lease === null || dispatch.leaseUntil === null) return dispatch;
    return { ...dispatch, leaseUntil: later(lease.held, dispatch.leaseUntil) };
  }

  /** A line said so: handed out now, or another state with the lease that it had. */
  log(dispatch: Dispatch): void {
    if (dispatch.leaseUntil === null) {
      if (this.#of(dispatch) !== null) this.#byHost.get(dispatch.host)?.delete(dispatch.rolloutId);
      return;
    }
    const known = this.#of(dispatch);
    const held = known === null ? dispatch.leaseUntil : later(known.held, dispatch.leaseUntil);
    const leases = this.#byHost.get(dispatch.host) ?? new Map<RolloutId, Lease>();
    this.#byHost.set(dispatch.host, leases);
    leases.delete(dispatch.rolloutId);
    leases.set(dispatch.rolloutId, { dispatch, logged: dispatch.leaseUntil, held });
    const [oldest] = leases.keys();
    if (leases.size > LEASES_MAX && oldest !== undefined) leases.delete(oldest);
  }

  renew(dispatch: Dispatch, now: Instant): void {
    const lease = this.#of(dispatch);
    if (lease !== null) lease.held = later(lease.held, addSecs(now, LEASE_SECS));
  }

  /**
   * After a start nobody knows the renewals: what is handed out is held from now on, and what was cancelled can't have been renewed
   * after that.
   */
  restore(dispatch: Dispatch, now: Instant): void {
    this.log(dispatch);
    const lease = this.#of(dispatch);
    if (lease === null) return;
    if (dispatch.state === "handed-out") lease.held = addSecs(now, LEASE_SECS);
    if (dispatch.state === "cancelled") lease.held = addSecs(dispatch.changedAt, LEASE_SECS);
  }

  #of(dispatch: Dispatch): Lease | null {
    const lease = this.#byHost.get(dispatch.host)?.get(dispatch.rolloutId);
    return lease !== undefined && lease.dispatch.attempt === dispatch.attempt ? lease : null;
  }
}
