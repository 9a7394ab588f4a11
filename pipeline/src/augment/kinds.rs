//! Views of every kind, for tests that hold of all of them.

use chipmill_schemas::augment::{
    Augment, Border, Chance, Clip, ColorModel, Filter, GaussianBlur, GaussianNoise, Jitter, Preset,
    Rot90, Scope, ZoomScale,
};
use chipmill_schemas::band::Band;
use chipmill_schemas::config::{BandChoice, NamedBands, ViewConfig};

/// Lists of operations that take every way through a program: each alone, and in orders that no preset has.
fn all_kinds() -> Vec<Vec<Augment>> {
    let noise = Augment::GaussianNoise(GaussianNoise { p: 1.0, std: 0.1 });
    let blur = |border| {
        Augment::GaussianBlur(GaussianBlur {
            p: 1.0,
            border,
            ..GaussianBlur::default()
        })
    };
    let (reflect, zero) = (blur(Border::Reflect), blur(Border::Zero));
    let drop = Augment::DropColor(Chance { p: 1.0 });
    let jitter = |clip, scope| {
        Augment::Jitter(Jitter {
            clip,
            scope,
            ..Jitter::default()
        })
    };
    let clipped = jitter(Some([0.0, 1.0]), Scope::Shared);
    let free = jitter(None, Scope::PerChannel);
    let zoom = |filter| {
        Augment::ZoomScale(ZoomScale {
            filter,
            ..ZoomScale::default()
        })
    };
    let (near, cubic) = (zoom(Filter::Nearest), zoom(Filter::Bicubic));
    let turn = Augment::Rot90(Rot90 {});
    let band_drop = Augment::BandDrop(Chance { p: 0.4 });
    let clip = Augment::Clip(Clip::default());
    let all = [
        &noise, &reflect, &zero, &drop, &clipped, &free, &near, &cubic, &turn, &band_drop, &clip,
    ];
    let mut lists: Vec<Vec<Augment>> = all.map(|op| vec![op.clone()]).to_vec();
    let orders = [
        vec![&drop, &free, &noise],
        vec![&free, &drop, &reflect, &noise],
        vec![&free, &drop, &reflect],
        vec![&drop, &clip],
        vec![&clipped, &drop, &free, &clip],
        vec![&clip, &drop, &clipped, &reflect, &drop],
        vec![&drop, &reflect, &turn, &noise],
        vec![&noise, &drop, &clip],
        vec![&noise, &noise, &cubic, &noise],
        vec![&reflect, &zero, &free, &band_drop],
        vec![&clipped, &clipped, &reflect, &clipped],
        vec![&drop, &drop, &band_drop, &free],
        vec![&clip, &near, &turn, &clip, &cubic],
        vec![&turn, &near, &reflect],
        vec![&turn, &cubic, &turn, &free, &reflect, &noise],
        vec![&cubic, &reflect, &free, &reflect],
        vec![&near, &reflect, &band_drop, &drop, &noise],
    ];
    lists.extend(orders.map(|order| order.into_iter().cloned().collect()));
    lists
}

fn hsv() -> Vec<Augment> {
    vec![Augment::Jitter(Jitter {
        model: ColorModel::Hsv,
        ..Jitter::default()
    })]
}

/// Views of every kind, band choice and side, small and odd ones too.
pub(super) fn many_views() -> Vec<ViewConfig> {
    let some = BandChoice::List(vec![Band::B8A, Band::B01, Band::B03]);
    let one = BandChoice::List(vec![Band::B12]);
    let [all, rgb] = [NamedBands::All, NamedBands::Rgb].map(BandChoice::Named);
    let mut views = Vec::new();
    for (number, augment) in all_kinds().into_iter().enumerate() {
        for side in [[8, 33], [30, 47], [64, 57], [100, 31]][number % 4] {
            views.push((side, some.clone(), augment.clone()));
        }
        views.push((120, [&one, &some][number % 2].clone(), augment));
    }
    for preset in Preset::ALL {
        for (side, bands) in [
            (17, &all),
            (32, &rgb),
            (120, &all),
            (133, &some),
            (240, &one),
        ] {
            views.push((side, bands.clone(), preset.operations()));
        }
    }
    views.extend([25, 120].map(|side| (side, rgb.clone(), hsv())));
    let config = |(side, bands, augment)| ViewConfig {
        side,
        bands,
        augment: Some(augment),
        ..ViewConfig::default()
    };
    views.into_iter().map(config).chain(gray_views()).collect()
}

/// Views whose bands are equal, from one resolution, from all, and from more bands than are added up at once: alone,
/// with noise, and blurred.
fn gray_views() -> Vec<ViewConfig> {
    let mut gray = Preset::Peers.operations();
    gray.retain(|op| !matches!(op, Augment::GaussianBlur(_) | Augment::GaussianNoise(_)));
    for op in &mut gray {
        if let Augment::DropColor(chance) = op {
            chance.p = 1.0;
        }
    }
    let noise = Augment::GaussianNoise(GaussianNoise { p: 1.0, std: 0.1 });
    let blur = Augment::GaussianBlur(GaussianBlur {
        p: 1.0,
        ..GaussianBlur::default()
    });
    let many = [[Band::B02; 14], [Band::B05; 14]].concat();
    let bands = [vec![Band::B03, Band::B08], Band::ALL.to_vec(), many];
    let view = |(bands, more, side): (&Vec<Band>, &[Augment], u32)| ViewConfig {
        side,
        bands: BandChoice::List(bands.clone()),
        augment: Some([&gray[..], more].concat()),
        ..ViewConfig::default()
    };
    let steps = [&[][..], &[noise], &[blur]];
    let of_steps = |bands| steps.map(|more| [100, 120].map(|side| (bands, more, side)));
    let all = bands.iter().flat_map(of_steps).flatten();
    all.map(view).collect()
}
