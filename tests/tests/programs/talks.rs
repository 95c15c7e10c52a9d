//! The output of the programs in `examples/talks/`, with one worker, with several, and with one for
//! each CPU.
#![cfg(unix)]

use std::fs;

use go_tests::support::programs::{
    Folder, exactly, in_any_order, program, programs_of, run, succeeds,
};

programs_of! { "talks", tested below: bounded_pipeline;
    daisy_chain => exactly(&["whispered on 100000 times"]),
    fan_out_fan_in => exactly(&["perfect: [6, 28, 496]"]),
    generator => exactly(&[
        "[1]",
        "[1, 1]",
        "[1, 2, 1]",
        "[1, 3, 3, 1]",
        "[1, 4, 6, 4, 1]",
        "[1, 1] beside [1]",
        "goroutines: 1",
    ]),
    multiplexing => in_any_order(&[
        "coast: report 1",
        "coast: report 2",
        "coast: report 3",
        "hills: report 1",
        "hills: report 2",
        "hills: report 3",
        "north: report 1",
        "north: report 2",
        "north: report 3",
        "south: report 1",
        "south: report 2",
        "south: report 3",
    ]),
    quit_channel => exactly(&[
        "page 1",
        "page 2",
        "page 3",
        "page 4",
        "the press is clean after 4 pages",
    ]),
    replicated_search => exactly(&[
        "Malta: [\"a map of Malta\", \"letters from Malta\"]",
        "Samoa: [\"a map of Samoa\"]",
        "nobody is left behind",
    ]),
    restore_sequencing => exactly(&[
        "round 1: Ann, Bo, Cy",
        "round 2: Ann, Bo, Cy",
        "round 3: Ann, Bo, Cy",
        "round 4: Ann, Bo, Cy",
    ]),
}

#[test]
fn bounded_pipeline() {
    let folder = Folder::create();
    fs::create_dir(folder.path().join("deep")).unwrap();
    // (The checksums are zlib's.)
    let texts = [
        ("a", "", "00000001"),
        ("deep/b", "abc", "024d0127"),
        ("z", "goroutine", "136d03dd"),
    ];
    let mut expected = String::new();
    for (name, text, sum) in texts {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        expected += &format!("{sum}  {}\n", path.display());
    }
    succeeds("bounded_pipeline", &[folder.text()], |ended| {
        assert_eq!((&*ended.errors, &ended.out), ("", &expected));
    });
    // Without an argument the program reads its own folder.
    succeeds("bounded_pipeline", &[], |ended| {
        assert_eq!(ended.errors, "");
        assert!(ended.out.contains("/talks/bounded_pipeline.rs\n"));
    });

    let mut command = program("bounded_pipeline");
    command.arg(folder.path().join("nothing"));
    let ended = run(command);
    assert_eq!((ended.code, &*ended.out), (Some(1), ""));
    assert!(
        ended.errors.contains("nothing: No such file"),
        "{}",
        ended.errors
    );
}
