// The shapes that modules hand to each other, for readers and editors: it has no code, and only comments import it.
// docs/api.md says what the server's fields mean; those that no module reads are left out. A field in [brackets] may be
// missing, or null where it is unknown.
// Times are in seconds since 1970, by the server's clock.

/**
 * The event `hello`: which server it is, and what it has. A server of another version may lack any field but `mode`.
 * @typedef {object} Hello
 * @property {"serve" | "rehearse"} mode
 * @property {string} [instance] the process; another one has other ids
 * @property {string} [pod]
 * @property {string} [version]
 * @property {string} [assets] the version of the dashboard's files
 * @property {boolean} [hasServer] a rehearsal was given the address of a server
 * @property {boolean} [hasWorkers] --workers
 * @property {boolean} [hasHpas] --kubernetes-hpa
 * @property {boolean} [hasSession] the reader can log out
 */

/**
 * The server's figures: the event `server`, and a point of the trend, which has fewer of them.
 * @typedef {object} Figures
 * @property {number} time when they were taken
 * @property {number} [sent] when they were sent; not in a point
 * @property {number} [maxAgeMs] when they are older they are late; not in a point
 * @property {number} [triggers] how many; of these active, held, failing (refused) and unmeasured (waiting)
 * @property {number} [active]
 * @property {number} [held]
 * @property {number} [failing]
 * @property {number} [unmeasured]
 * @property {number} [waiting]
 * @property {number} [inFlight]
 * @property {number} [replicas] wanted
 * @property {number} [consumption] per second, at least
 * @property {number} [callsPerSecond]
 * @property {number} [cpu] cores
 * @property {number} [memory] bytes
 * @property {number} [queries]
 * @property {number} [connections]
 * @property {number} [failedConnections]
 * @property {PodCounts} [workers]
 * @property {number} [runningWorkers] of a rehearsal, as the next two
 * @property {number} [current] replicas that there are
 * @property {number} [jobsDone]
 */

/**
 * @typedef {object} PodCounts
 * @property {number} [running]
 * @property {number} [pods]
 * @property {number} objects
 * @property {number} unread how many of the objects are not in the sums, or with what was read before
 * @property {boolean} areBounds there are more than were counted
 * @property {number} [oldestSecondsAgo]
 */

/** @typedef {"refused" | "held" | "waiting" | "answered"} State */

/**
 * A row of the table of triggers.
 * @typedef {object} TriggerRow
 * @property {number} id
 * @property {string} namespace
 * @property {string} name of the ScaledObject or ScaledJob
 * @property {State} state
 * @property {boolean} [active]
 * @property {boolean} [superseded] its metadata is from before an edit
 * @property {string} [scaler]
 * @property {string} [metricName]
 * @property {string} [query]
 * @property {string} [connection] the name that the server gives it
 * @property {string} [connectionName] the name in the server's configuration
 * @property {number} [connectionId]
 * @property {number} [time] of the reading
 * @property {number} [waiting]
 * @property {number} [inFlight]
 * @property {number} [arrivals] per second, as the next one
 * @property {number} [consumption]
 * @property {boolean} [ratesAreBounds] the rates are lower bounds
 * @property {number} [value]
 * @property {number} [target]
 * @property {number} [replicas] wanted
 * @property {number} [current] replicas that there are, in a rehearsal
 * @property {string} [boundBy] with a policy: what bound its replicas
 * @property {string} [error]
 */

/**
 * A row of the table of connections.
 * @typedef {object} ConnectionRow
 * @property {number} id
 * @property {string} name
 * @property {"connected" | "failed" | "not connected"} state
 * @property {string} [error]
 * @property {Record<string, string>} [settings]
 * @property {number} [queries]
 * @property {number} [failing] queries
 * @property {number} [roundTrip] seconds
 * @property {number} [utilization] 0 to 1
 * @property {number} [delay] seconds
 */

/**
 * A row of the table of workers: a process of a rehearsal.
 * @typedef {object} ProcessRow
 * @property {number} id
 * @property {string} object NAMESPACE/NAME
 * @property {number} number
 * @property {"starting" | "running" | "stopping" | "restarting" | "ended"} state
 * @property {number} [pid]
 * @property {number} [started]
 * @property {number} [done] jobs
 * @property {number} [cpu] cores
 * @property {number} [memory] bytes
 */

/**
 * A row of the page of workers: a pod, of /api/workers, and its object.
 * @typedef {object} PodRow
 * @property {string} id
 * @property {string} namespace
 * @property {string} object NAMESPACE/NAME
 * @property {string} pod
 * @property {string} [job]
 * @property {"Running" | "Pending" | "Succeeded" | "Terminating" | "Failed" | "Unknown"} state
 * @property {string} [reason]
 * @property {boolean} [ready]
 * @property {number} [restarts]
 * @property {number} [created]
 * @property {number} [done] jobs
 * @property {number} [cpu] cores
 * @property {number} [memory] bytes
 */

/**
 * A column of a table (table.js). It has text() or draw().
 * @template Row
 * @typedef {object} Column
 * @property {string} key
 * @property {string} label
 * @property {string} [title] a tooltip
 * @property {(row: Row) => any} [value] what rows are sorted by; null is unknown, and comes last. Buttons have none
 * @property {(row: Row) => string} [text]
 * @property {(cell: HTMLElement, row: Row) => void} [draw]
 * @property {boolean} [isNumber]
 * @property {boolean} [isWide]
 * @property {boolean} [isLong]
 * @property {"narrow" | "medium" | "wide" | "large"} [hide] windows up to this width do not show the column
 * @property {() => boolean} [isShown] false: this server does not have what the column shows
 */

/**
 * A line of the server's log. Numbers that are left out are lines that the server had dropped.
 * @typedef {{number: number, time: number, level: "debug" | "info" | "warning" | "error", text: string}} LogLine
 */

/**
 * One trigger of /api/triggers/NAMESPACE/NAME: what KEDA gets, and why.
 * @typedef {object} Explanation
 * @property {number} id
 * @property {string} [scaler]
 * @property {string} metricName
 * @property {number} target
 * @property {boolean} superseded
 * @property {{state: State, value?: number, replicas?: number, active?: boolean, error?: string}} now
 * @property {{ageSeconds: number, waiting?: number, inFlight?: number, value?: number}} [reading]
 * @property {{arrivals?: number, consumption?: number, areBounds: boolean}} rates
 * @property {{boundBy: string}} [policy]
 * @property {{error: string, sinceSeconds: number}} [failing]
 * @property {{name: string, state: string}} [source] its connection
 * @property {string} [connectionName]
 * @property {Record<"connection" | "query" | "target", Record<string, string>>} [metadata]
 * @property {string} [why]
 * @property {number} [holdSeconds]
 * @property {number} streams
 * @property {number} [lastCallSecondsAgo]
 */

/**
 * One trigger of /api/history.
 * @typedef {object} History
 * @property {number} id
 * @property {number} target
 * @property {string[]} columns
 * @property {any[][]} rows a list of values for each time, in the order of `columns`
 * @property {boolean} hasMore older rows are missing, and a request of this trigger alone has them
 */

/**
 * A history by columns: the values of each are in the order of `times`, and null where they are unknown.
 * @typedef {object} Columns
 * @property {number[]} times
 * @property {("answered" | "failed")[]} state
 * @property {(number | null)[]} waiting the source's value, where it does not count waiting work (hasWaiting)
 * @property {(number | null)[]} inFlight
 * @property {(number | null)[]} replicas null with a policy
 * @property {(number | null)[]} arrivals what `waiting` grew by, where the source reports no rates (isGrowth)
 * @property {(number | null)[]} consumption what `waiting` fell by, where the source reports no rate (isFall)
 * @property {(boolean | null)[]} active
 * @property {boolean} hasWaiting
 * @property {boolean} isFall
 * @property {boolean} isGrowth
 */

/** @typedef {[time: number, replicas: number | null]} Sample How many replicas there were; null: it was not known. */

/** @typedef {{from: number, to: number}} Outage */

/** @typedef {[from: number, to: number]} Span */

export {};
