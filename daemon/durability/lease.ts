/** For how long a daemon of a group may be unheard of and keep its sessions, in milliseconds. */
export const LEASE_MS_MIN = 300;
export const LEASE_MS_MAX = 3_600_000;
