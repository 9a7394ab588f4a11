//! The chipmill store on disk: Zarr v3 layout, manifest, patch table, writer, reader and verification.
