//! A process that ends between any two requests of an ingest at an address, and the one that goes on.

use super::proxy::Fate;
use super::{Afar, ingest, with};
use crate::support::{Made, objects};

/// How a process is cut off from its store at a request.
const ENDS: [(&str, Fate); 2] = [
    // The store never hears of the request.
    (
        "refused",
        Fate::Answer("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>"),
    ),
    // It does as it was told, and nobody hears of that.
    ("unheard", Fate::Cut(0)),
];

#[test]
fn whichever_request_of_an_ingest_is_its_last_the_same_command_completes_the_same_store() {
    let Some(afar) = Afar::start() else { return };
    let made = Made::raw(20);
    let local = made.store();
    let shards = ["--shard-patches", "8"];
    afar.run(&with(&ingest(&made, &local), &shards), 0);
    let expected = objects(&local);
    let whole = with(&ingest(&made, "s3://bucket/whole/ben.zarr"), &shards);
    afar.proxy.judge(|_, _| Fate::Pass);
    afar.run(&whole, 0);
    let requests = afar.proxy.requests();
    assert!(requests > 12, "{requests}");
    let is_long = std::env::var("CHIPMILL_CAMPAIGN").is_ok_and(|v| v == "long");
    let mut tried = 0;
    for (end, fate) in ENDS {
        let step = if is_long { 1 } else { 13 };
        for last in (0..requests).step_by(step) {
            let store = format!("s3://bucket/{end}-{last}/ben.zarr");
            let command = with(&ingest(&made, &store), &shards);
            let fate = fate.clone();
            // From the second on it is refused, so that no patience helps.
            afar.proxy.judge(move |n, _| match n {
                n if n < last => Fate::Pass,
                n if n == last => fate.clone(),
                _ => ENDS[0].1.clone(),
            });
            let ended = afar.command(&command).output().unwrap().status.code();
            afar.proxy.judge(|_, _| Fate::Pass);
            assert!(matches!(ended, Some(2 | 75)), "{store}: {ended:?}");
            // No reader takes a part for the whole.
            let looked = afar
                .command(&["verify", &store, "--json"])
                .output()
                .unwrap();
            let found = afar.objects_of(&format!("{end}-{last}/ben.zarr/"));
            assert!(!looked.status.success() || found == expected, "{store}");
            afar.run(&command, 0);
            assert!(
                afar.objects_of(&format!("{end}-{last}/ben.zarr/")) == expected,
                "{store}"
            );
            tried += 1;
        }
    }
    println!("{tried} interrupted ingests, {requests} requests each");
}
