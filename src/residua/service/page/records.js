// The records of the service's JSON as this page reads them; the meaning of each field stands with
// the service's own records.

/** @typedef {"normal"|"anomalous"} Word */
/** @typedef {"uncertain"|"random"|"latest"} Order */

/** @typedef {Object} Problem
 * @property {string} type
 * @property {string} title
 * @property {number} status
 * @property {string} detail
 * @property {?string} instance
 */

/** @typedef {Object} PictureResult
 * @property {number} index
 * @property {string} name
 * @property {?number} score
 * @property {?Word} verdict
 * @property {number} threshold
 * @property {?number} lower
 * @property {?number} p_value
 * @property {?number} width
 * @property {?number} height
 * @property {?string} heatmap
 * @property {?string} reconstruction
 * @property {?string} input
 * @property {?number} kept
 * @property {?string} keeping_failed
 * @property {?Problem} error
 */

/** @typedef {Object} ScoreResponse
 * @property {string} model
 * @property {string} revision
 * @property {PictureResult[]} results
 */

/** @typedef {Object} InputSize
 * @property {number} height
 * @property {number} width
 * @property {number} channels
 * @property {"stretch"|"pad"|"crop"} resize
 */

/** @typedef {Object} Limits
 * @property {number} upper
 * @property {?number} lower
 * @property {string} rule
 * @property {number} n_normal
 * @property {?number} promised_rate
 */

/** @typedef {Object} Calibration
 * @property {number} n
 * @property {number[]} edges
 * @property {number[]} counts
 * @property {number[]} quantiles
 */

/** @typedef {Object} Drift
 * @property {number} watched
 * @property {number} window
 * @property {number} looks
 * @property {?number} distance
 * @property {?number} p_value
 * @property {?number} level
 * @property {boolean} alarm
 * @property {?string} since
 * @property {?("higher"|"lower")} direction
 * @property {string} words
 */

/** @typedef {Object} ModelSummary
 * @property {string} name
 * @property {string} revision
 * @property {InputSize} input
 * @property {Limits} threshold
 * @property {boolean} rebuilds_pixels
 * @property {string} loaded
 * @property {?string} reload_failed
 * @property {Drift} drift
 */

/** @typedef {Object} Fact
 * @property {string} name
 * @property {string} value
 */

/** @typedef {Object} ModelDetail
 * @property {string} name
 * @property {string} revision
 * @property {InputSize} input
 * @property {Limits} threshold
 * @property {boolean} rebuilds_pixels
 * @property {string} loaded
 * @property {?string} reload_failed
 * @property {Drift} drift
 * @property {Fact[]} facts
 * @property {string[]} warnings
 * @property {Calibration} calibration
 */

/** @typedef {Object} Session
 * @property {"reader"|"reviewer"|"admin"} role
 * @property {?string} name
 * @property {"off"|"flagged"|"all"} keep
 * @property {number} max_bytes
 * @property {number} max_pictures
 */

/** @typedef {Object} KeptPicture
 * @property {number} id
 * @property {string} model
 * @property {string} revision
 * @property {string} name
 * @property {string} created
 * @property {number} score
 * @property {number} threshold
 * @property {?number} lower
 * @property {Word} verdict
 * @property {number} p_value
 * @property {number} width
 * @property {number} height
 * @property {string} media_type
 * @property {number} size
 * @property {?Word} truth
 * @property {?boolean} correct
 * @property {?string} reviewed_by
 * @property {?string} reviewed
 */

/** @typedef {Object} ReviewQueue
 * @property {number} waiting
 * @property {KeptPicture[]} items
 */

/** @typedef {Object} Rate
 * @property {number} value
 * @property {number} low
 * @property {number} high
 * @property {number} level
 */

/** @typedef {Object} Quality
 * @property {number} true_positives
 * @property {number} false_positives
 * @property {number} true_negatives
 * @property {number} false_negatives
 * @property {?Rate} precision
 * @property {?Rate} recall
 * @property {?string} caveat
 */

/** @typedef {Object} ReviewSummary
 * @property {?string} model
 * @property {number} kept
 * @property {number} flagged
 * @property {number} waiting
 * @property {number} size
 * @property {boolean} full
 * @property {Quality} random
 * @property {Quality} all
 */

/** @typedef {Object} RecalibrationPreview
 * @property {string} confirmation
 * @property {string} revision
 * @property {number} pictures
 * @property {Limits} before
 * @property {Limits} after
 * @property {number} flagged_before
 * @property {number} flagged_after
 * @property {number} reviewed_right_before
 * @property {number} reviewed_right_after
 * @property {number} reviewed
 * @property {string[]} warnings
 */

export {};
