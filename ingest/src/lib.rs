//! From raw BigEarthNet (folders or archives, v1 or v2) to a chipmill store.
