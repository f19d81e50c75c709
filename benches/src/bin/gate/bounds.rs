//! What is wanted of the figures, and what is held.
//!
//! Speeds are ratios to something measured in the same run, so that they hold on any machine. On a busy one a ratio still moves by
//! a tenth or two between runs, so where what is wanted is near or not reached yet, the gate lies lower.

use benches::Bound;

/// The bounds of the figures that depend on how we were built and on how much is measured.
pub(crate) struct Bounds {
    /// Times as fast as DuckDB on the default shape.
    pub(crate) default_shape: Bound,
    /// The same on the wide, deep and sparse shapes.
    pub(crate) other_shapes: Bound,
    /// Batches of 100 events against DuckDB on all of them at once.
    pub(crate) small_batches: Bound,
    /// How two threads scale against how parsing alone does.
    pub(crate) scaling: Bound,
}

impl Bounds {
    /// Of what is deployed: the profile `release`.
    pub(crate) const LONG: Self = Self {
        default_shape: Bound::at_least(2.2).held_at(2.0),
        other_shapes: Bound::at_least(1.5),
        small_batches: Bound::at_least(0.70).held_at(0.65),
        scaling: Bound::at_least(0.9).held_at(0.6),
    };

    /// Of the profile `quick`, which is made to be built quickly, on few events.
    pub(crate) const SHORT: Self = Self {
        default_shape: Bound::at_least(2.2).held_at(1.2),
        other_shapes: Bound::at_least(1.5).held_at(1.2),
        small_batches: Bound::at_least(0.70).held_at(0.35),
        scaling: Self::LONG.scaling,
    };
}

/// What is asked of anything that calls itself a pipeline, in events per second: whoever misses it is broken, not slow.
pub(crate) const LEAST_EVENTS_PER_S: Bound = Bound::at_least(100.0);

/// Compression against the JSON received.
pub(crate) const COMPRESSION: Bound = Bound::at_least(2.0);

/// Compression against DuckDB's.
pub(crate) const COMPRESSION_OF_PEER: Bound = Bound::at_least(0.9);

/// Bytes per second of the hostile shape against those of the default one: no event may cost more than two.
pub(crate) const HOSTILE: Bound = Bound::at_least(0.5);
