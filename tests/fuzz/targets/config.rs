//! Any text is a project or an error with a place; what a project would write lies in its own folders, and planning its
//! SELECTs over empty tables does not panic.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::{Corpus, fuzz_target};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use snaplake::layout::TableLayout;
use snaplake::{Event, Pipeline, Reporter};
use snaplake_fuzz::{block_on, engine, project};

struct Silent;

impl Reporter for Silent {
    fn on(&self, _: &Event<'_>) {}
}

fuzz_target!(|text: &[u8]| -> Corpus {
    // A glob of models would read the files of this machine.
    if text.windows(6).any(|word| word.eq_ignore_ascii_case(b"models")) {
        return Corpus::Reject;
    }
    let project = match project(text) {
        Ok(project) => project,
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains("job.sql") || error.contains("lake"), "an error without a place: {error}");
            return Corpus::Keep;
        }
    };
    let settings = &project.settings;
    for lake in &project.lakes {
        let names = (settings.database.as_str(), settings.schema.as_str(), lake.name.as_str());
        let external = lake.external_location.as_ref();
        let paths = TableLayout::new(
            &settings.staging,
            &settings.datalake,
            names,
            (&settings.snapshot_folder, &settings.snapshot_time),
            external,
        );
        assert!(settings.staging.holds(&paths.success()) || !settings.staging.holds(paths.lake()));
        for inside in [paths.root().clone(), paths.manifests(), paths.validation(), paths.staging_data().clone()] {
            assert!(settings.staging.holds(&inside), "{inside} is not below {}", settings.staging);
            assert!(inside.key().is_ok(), "{inside} is no key");
        }
        if external.is_none() {
            assert!(settings.datalake.holds(paths.lake()), "{} is not below {}", paths.lake(), settings.datalake);
        }
    }
    let local = |location: &snaplake::layout::Location| location.store() == "file://";
    let locations = project.snapshots.iter().flat_map(|table| &table.locations).map(|(location, _)| location);
    if !locations.clone().chain([&settings.staging, &settings.datalake]).all(local) {
        return Corpus::Keep;
    }
    block_on(async {
        // With the mark of a finished export, a declared table may have no file.
        let store = Arc::new(InMemory::new());
        for location in locations {
            if let Ok(mark) = location.join("_SUCCESS").key() {
                store.put(&mark, "".into()).await.expect("the store takes any key");
            }
        }
        let pipeline = Pipeline::new(project.clone(), engine(store), Arc::new(Silent));
        if let Ok(plans) = pipeline.plan().await {
            for plan in &plans {
                drop(pipeline.plan_view(plan, true).await);
            }
        }
    });
    Corpus::Keep
});
