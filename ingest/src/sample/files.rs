//! From planned patches to files: rendering in parallel, chunk by chunk, and the trees they go to.

use std::collections::BTreeMap;

use chipmill_schemas::band::Band;
use chipmill_schemas::label::LabelSet;
use chipmill_schemas::patch_id::DatasetVersion;
use chipmill_schemas::s1::Polarisation;
use crossbeam_channel::Sender;
use rayon::prelude::*;

use super::archive::{Member, Sink};
use super::plan::PatchPlan;
use super::scene::{self, Scene};
use super::tiff::{self, BandFiles, Place, S1Files};
use super::{SampleError, SampleOptions, tables};

/// Patches that are rendered before they are written: enough to keep many cores busy, 20 MB of files.
const CHUNK: usize = 128;

/// The files of some patches, sorted by path.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) patches: Vec<Member>,
    /// Reference maps (v2).
    pub(super) maps: Vec<Member>,
}

/// Makes the files of patches.
pub(super) struct Renderer {
    layout: DatasetVersion,
    seed: u64,
    /// By EPSG code.
    band_files: BTreeMap<u32, BandFiles>,
}

/// The files of one patch: bands (and v1's label file), v2's reference map, the labels.
type PatchFiles = (Vec<Member>, Option<Member>, LabelSet);

impl Renderer {
    pub(super) fn new(
        layout: DatasetVersion,
        seed: u64,
        plans: &[PatchPlan],
    ) -> Result<Self, SampleError> {
        let mut band_files = BTreeMap::new();
        for epsg in plans.iter().map(|p| p.acquisition().epsg()) {
            if let std::collections::btree_map::Entry::Vacant(place) = band_files.entry(epsg) {
                let files = BandFiles::new(layout, epsg);
                place.insert(files.map_err(|e| SampleError::gdal(&format!("EPSG:{epsg}"), e))?);
            }
        }
        Ok(Self {
            layout,
            seed,
            band_files,
        })
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "dropping the sender ends the channel"
    )]
    /// Renders all patches in order and hands them on in chunks; gives their labels.
    pub(super) fn render(
        &self,
        plans: &[PatchPlan],
        pool: &rayon::ThreadPool,
        chunks: Sender<Chunk>,
    ) -> Result<Vec<LabelSet>, SampleError> {
        let mut labels = Vec::with_capacity(plans.len());
        for plans in plans.chunks(CHUNK) {
            let files = || plans.par_iter().map(|plan| self.files(plan));
            let rendered: Vec<PatchFiles> = pool.install(|| files().collect::<Result<_, _>>())?;
            let mut chunk = Chunk::default();
            for (files, map, of_patch) in rendered {
                chunk.patches.extend(files);
                chunk.maps.extend(map);
                labels.push(of_patch);
            }
            if chunks.send(chunk).is_err() {
                // The writer has failed and says why itself.
                break;
            }
        }
        Ok(labels)
    }

    fn files(&self, plan: &PatchPlan) -> Result<PatchFiles, SampleError> {
        let scene = scene::render(self.seed, plan);
        let id = &plan.id;
        let acquisition = plan.acquisition();
        match self.layout {
            DatasetVersion::V1 => {
                let folder = format!("BigEarthNet-v1.0/{id}");
                let mut files = self.bands(plan, &scene, &folder)?;
                files.push(Member {
                    path: format!("{folder}/{id}_labels_metadata.json"),
                    bytes: tables::label_file(plan, scene.labels)?,
                });
                Ok((files, None, scene.labels))
            }
            DatasetVersion::V2 => {
                let tile = acquisition.v2_name();
                let files = self.bands(plan, &scene, &format!("BigEarthNet-S2/{tile}/{id}"))?;
                let path = format!("Reference_Maps/{tile}/{id}/{id}_reference_map.tif");
                let place = Place {
                    epsg: acquisition.epsg(),
                    corner: acquisition.corner(plan.h, plan.v),
                };
                let bytes = tiff::encode_map(&scene.codes, place);
                let bytes = bytes.map_err(|e| SampleError::gdal(&path, e))?;
                Ok((files, Some(Member { path, bytes }), scene.labels))
            }
        }
    }

    /// The twelve band files, in the order of a listing, where `B8A` is last.
    fn bands(
        &self,
        plan: &PatchPlan,
        scene: &Scene,
        folder: &str,
    ) -> Result<Vec<Member>, SampleError> {
        let acquisition = plan.acquisition();
        let corner = acquisition.corner(plan.h, plan.v);
        let writers = &self.band_files[&acquisition.epsg()];
        let mut bands: Vec<_> = Band::ALL.iter().zip(&scene.bands).collect();
        bands.sort_by_key(|(band, _)| band.name());
        let files = bands.into_iter().map(|(band, values)| {
            let path = format!("{folder}/{}_{band}.tif", plan.id);
            let bytes = writers.encode(band.resolution(), values, corner);
            let bytes = bytes.map_err(|e| SampleError::gdal(&path, e))?;
            Ok(Member { path, bytes })
        });
        files.collect()
    }
}

/// Makes the files of Sentinel-1 patches.
pub(super) struct S1Renderer {
    layout: DatasetVersion,
    seed: u64,
    /// By EPSG code.
    files: BTreeMap<u32, S1Files>,
}

/// A patch, its labels, and the path of its Sentinel-1 folder.
type S1Plan<'a> = (&'a PatchPlan, LabelSet, String);

impl S1Renderer {
    pub(super) fn new(
        layout: DatasetVersion,
        seed: u64,
        plans: &[PatchPlan],
    ) -> Result<Self, SampleError> {
        let mut files = BTreeMap::new();
        for epsg in plans.iter().map(|p| p.acquisition().epsg()) {
            if let std::collections::btree_map::Entry::Vacant(place) = files.entry(epsg) {
                let made = S1Files::new(epsg);
                place.insert(made.map_err(|e| SampleError::gdal(&format!("EPSG:{epsg}"), e))?);
            }
        }
        Ok(Self {
            layout,
            seed,
            files,
        })
    }

    /// Writes the tree of all patches, in the order of its paths.
    pub(super) fn write(
        &self,
        options: &SampleOptions,
        patches: &[tables::Labelled<'_>],
        pool: &rayon::ThreadPool,
        tally: &mut dyn FnMut(&Chunk),
    ) -> Result<(), SampleError> {
        let name = match self.layout {
            DatasetVersion::V1 => "BigEarthNet-S1-v1.0",
            DatasetVersion::V2 => "BigEarthNet-S1",
        };
        let mut sink = Sink::create(&options.out, name, options.archive)?;
        let folder = |plan: &PatchPlan| {
            let s1 = tables::s1_name(self.seed, plan);
            match self.layout {
                DatasetVersion::V1 => format!("{name}/{s1}"),
                DatasetVersion::V2 => format!("{name}/{}/{s1}", tables::s1_scene(&s1)),
            }
        };
        let mut plans: Vec<S1Plan<'_>> = patches.iter().map(|p| (p.0, p.1, folder(p.0))).collect();
        plans.sort_by(|a, b| a.2.cmp(&b.2));
        for plans in plans.chunks(CHUNK) {
            let files = || plans.par_iter().map(|plan| self.files(plan));
            let files: Vec<Vec<_>> = pool.install(|| files().collect::<Result<_, _>>())?;
            let chunk = Chunk {
                patches: files.into_iter().flatten().collect(),
                maps: Vec::new(),
            };
            tally(&chunk);
            pool.install(|| sink.put(&chunk.patches))?;
        }
        sink.finish()
    }

    /// The files of one patch, in the order of a listing.
    fn files(&self, (plan, labels, folder): &S1Plan<'_>) -> Result<Vec<Member>, SampleError> {
        let name = tables::s1_name(self.seed, plan);
        let values = scene::render_radar(self.seed, plan);
        let acquisition = plan.acquisition();
        let (encoder, corner) = (
            &self.files[&acquisition.epsg()],
            acquisition.corner(plan.h, plan.v),
        );
        let area = values.len() / Polarisation::ALL.len();
        let mut files = Vec::new();
        for polarisation in [Polarisation::VH, Polarisation::VV] {
            let path = format!("{folder}/{name}_{polarisation}.tif");
            let values = &values[polarisation.index() * area..][..area];
            let bytes = encoder.encode(values, corner);
            let bytes = bytes.map_err(|e| SampleError::gdal(&path, e))?;
            files.push(Member { path, bytes });
        }
        if self.layout == DatasetVersion::V1 {
            files.push(Member {
                path: format!("{folder}/{name}_labels_metadata.json"),
                bytes: tables::s1_label_file(plan, &name, *labels)?,
            });
        }
        Ok(files)
    }
}

/// The trees of files of a layout.
pub(super) struct Trees {
    patches: Sink,
    maps: Option<Sink>,
}

impl Trees {
    pub(super) fn create(options: &SampleOptions) -> Result<Self, SampleError> {
        let sink = |name| Sink::create(&options.out, name, options.archive);
        let (patches, maps) = match options.layout {
            DatasetVersion::V1 => ("BigEarthNet-S2-v1.0", None),
            DatasetVersion::V2 => ("BigEarthNet-S2", Some("Reference_Maps")),
        };
        Ok(Self {
            patches: sink(patches)?,
            maps: maps.map(sink).transpose()?,
        })
    }

    pub(super) fn put(&mut self, chunk: &Chunk) -> Result<(), SampleError> {
        self.patches.put(&chunk.patches)?;
        self.maps
            .as_mut()
            .map_or(Ok(()), |maps| maps.put(&chunk.maps))
    }

    pub(super) fn finish(self) -> Result<(), SampleError> {
        self.patches.finish()?;
        self.maps.map_or(Ok(()), Sink::finish)
    }
}
