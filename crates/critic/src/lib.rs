//! Value, PRM and ORM: targets, inference, calibration, how they are combined.
