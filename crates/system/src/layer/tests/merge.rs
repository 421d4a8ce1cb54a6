//! Merging, by cases and against a model.

use std::collections::BTreeMap;

use super::*;

fn paths(layers: &[Archive]) -> String {
    let layers: Vec<_> = layers.iter().map(|a| a.clone().end()).collect();
    let (tree, files) = merged(&layers).unwrap();
    tree.walk()
        .skip(1)
        .map(|(path, id)| {
            let mut text = display(&path);
            match &tree.inode(id).kind {
                Kind::Directory(_) => text.push('/'),
                Kind::Symlink(target) => text = format!("{text}->{}", display(target)),
                Kind::File(file) => {
                    let mut data = String::new();
                    files.open(file).unwrap().read_to_string(&mut data).unwrap();
                    text = format!("{text}={data}");
                }
                _ => {}
            }
            text
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn layer() -> Archive {
    Archive::default()
}

#[test]
fn symlinked_parents_are_followed_inside_the_root() {
    let base = layer()
        .dir("usr/lib")
        .symlink("lib", "usr/lib")
        .symlink("abs", "/usr/../../usr/lib");
    assert_eq!(
        paths(&[base.clone(), layer().file("lib/a", "1").file("abs/b", "2")]),
        "abs->/usr/../../usr/lib lib->usr/lib usr/ usr/lib/ usr/lib/a=1 usr/lib/b=2"
    );
    assert_eq!(
        paths(&[
            base.clone(),
            layer().file("lib/a", "1"),
            layer().file("abs/.wh.a", "")
        ]),
        "abs->/usr/../../usr/lib lib->usr/lib usr/ usr/lib/"
    );
    // A dangling parent is made where it points, inside the root.
    assert_eq!(
        paths(&[layer().symlink("run", "../../var/run").file("run/x", "1")]),
        "run->../../var/run var/ var/run/ var/run/x=1"
    );
    let looped = [layer()
        .symlink("a", "b")
        .symlink("b", "a")
        .file("a/x", "")
        .end()];
    let error = merged(&looped).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("'a/x'"), "{error}");
}

#[test]
fn a_parent_is_looked_up_again_where_a_link_came_in_between() {
    let base = layer().dir("a").dir("b").symlink("l", "a");
    let upper = layer()
        .file("l/1", "1")
        .file("l/2", "2")
        .symlink("l", "b")
        .file("l/3", "3");
    assert_eq!(paths(&[base, upper]), "a/ a/1=1 a/2=2 b/ b/3=3 l->b");
    let replaced = layer()
        .dir("e")
        .file("d/1", "1")
        .symlink("d", "e")
        .file("d/2", "2");
    assert_eq!(paths(&[replaced]), "d->e e/ e/2=2");
}

#[test]
fn a_layers_paths_lead_through_no_more_than_so_many_directories() {
    let names = ["l/a/1", "l/b/2", "l/c/3"];
    let archive = names
        .iter()
        .fold(layer().symlink("l", "d/e"), |all, name| all.file(name, ""));
    let (entries, _) = read(&archive.end(), &Limits::DEFAULT).unwrap();
    let within = |steps| {
        let mut tree = Tree::new();
        super::super::apply::apply_within(&mut tree, LayerId(0), &entries, steps)
    };
    assert!(within(12).is_ok());
    let error = within(11).unwrap_err();
    assert_eq!(error.class(), Class::Verification);
    assert_eq!(
        error.to_string(),
        "up to the entry 'l/c/3' the paths of the layer lead through more than 11 directories, those of symbolic links counted"
    );
}

#[test]
fn kinds_replace_each_other() {
    let base = layer()
        .file("d/x", "1")
        .file("f", "2")
        .symlink("s", "d")
        .file("d/sub/y", "3");
    for (upper, expected) in [
        (layer().file("d", "new"), "d=new f=2 s->d"),
        (
            layer().dir("f").file("f/x", "new"),
            "d/ d/sub/ d/sub/y=3 d/x=1 f/ f/x=new s->d",
        ),
        (layer().dir("d"), "d/ d/sub/ d/sub/y=3 d/x=1 f=2 s->d"),
        (
            layer().dir("s").file("s/z", "new"),
            "d/ d/sub/ d/sub/y=3 d/x=1 f=2 s/ s/z=new",
        ),
        (layer().symlink("d", "f"), "d->f f=2 s->d"),
        (
            layer().file("f", "a").file("f", "b"),
            "d/ d/sub/ d/sub/y=3 d/x=1 f=b s->d",
        ),
    ] {
        assert_eq!(paths(&[base.clone(), upper]), expected);
    }
    let through_file = [base.end(), layer().file("f/x", "").end()];
    let error = merged(&through_file).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "entry 'f/x': 'f' is not a directory");
    assert_eq!(error.class(), Class::Verification);
}

#[test]
fn whiteouts_act_on_lower_layers_only() {
    let base = layer().file("d/a", "1").file("d/b", "2").file("e", "3");
    for upper in [
        layer().file("d/a", "new").file("d/.wh.a", ""),
        layer().file("d/.wh.a", "").file("d/a", "new"),
    ] {
        assert_eq!(paths(&[base.clone(), upper]), "d/ d/a=new d/b=2 e=3");
    }
    for upper in [
        layer().file("d/c", "new").file("d/.wh..wh..opq", ""),
        layer()
            .file("d/.wh..wh..opq", "")
            .dir("d")
            .file("d/c", "new"),
        layer().file(".wh.d", "").file("d/c", "new"),
        layer().file("d/c", "new").file(".wh.d", ""),
    ] {
        assert_eq!(paths(&[base.clone(), upper]), "d/ d/c=new e=3");
    }
    assert_eq!(
        paths(&[base.clone(), layer().file(".wh..wh..opq", "").file("n", "")]),
        "n="
    );
    assert_eq!(
        paths(&[base, layer().file("no/such/.wh.x", "").file(".wh.no", "")]),
        "d/ d/a=1 d/b=2 e=3"
    );
}

#[test]
fn a_whiteout_does_not_reach_through_a_link_that_its_layer_replaces() {
    let base = layer().file("real/x", "1").symlink("a", "real");
    let upper = layer().file("a/.wh.x", "").dir("a");
    assert_eq!(paths(&[base.clone(), upper]), "a/ real/ real/x=1");
    let upper = layer().dir("a").file("a/.wh..wh..opq", "").file("a/n", "2");
    assert_eq!(paths(&[base, upper]), "a/ a/n=2 real/ real/x=1");
}

#[test]
fn hard_links_inside_and_across_layers() {
    let layers = [
        layer()
            .file("a", "1")
            .hardlink("b", "a")
            .symlink("dir", "real")
            .file("real/t", "2")
            .end(),
        layer()
            .hardlink("c", "./b")
            .hardlink("real/u", "/dir/t")
            .symlink("s", "a")
            .hardlink("s2", "s")
            .end(),
        // A file put at one name leaves the others alone.
        layer().file("a", "new").file(".wh.b", "").end(),
    ];
    let (tree, files) = merged(&layers).unwrap();
    insta::assert_snapshot!(listing(&tree, &files), @r"
    d0755 0:0 0 / 
    -0644 0:0 1 /a 3 bytes new
    -0644 0:0 1 /c 1 bytes 1
    l0644 0:0 1 /dir -> real
    d0755 0:0 0 /real 
    -0644 0:0 1 /real/t 1 bytes 2
    -0644 0:0 1 /real/u 1 bytes 2 = real/t
    l0644 0:0 1 /s -> a
    l0644 0:0 1 /s2 -> a = s
    ");
    assert_eq!(tree.get(b"real/t"), tree.get(b"real/u"));
    assert_eq!(tree.get(b"s"), tree.get(b"s2"));
    let missing = [layer().hardlink("x/l", "gone").end()];
    let error = merged(&missing).map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "hard link 'x/l' leads to 'gone', which does not exist"
    );
    let directory = [layer().dir("d").hardlink("l", "d").end()];
    let error = merged(&directory).map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "entry 'l': 'd' is a directory and can't be hard-linked"
    );
}

/// A layered file system the simple way: what each path is, no inodes.
type Model = BTreeMap<String, Option<String>>;

fn below<'m>(model: &'m Model, dir: &str) -> impl Iterator<Item = String> + use<'m> {
    let prefix = format!("{dir}/");
    model
        .keys()
        .filter(move |k| k.starts_with(&prefix))
        .cloned()
}

fn model_remove(model: &mut Model, path: &str) {
    for gone in below(model, path).collect::<Vec<_>>() {
        model.remove(&gone);
    }
    model.remove(path);
}

/// Puts a file (`Some`) or a directory at `path`.
fn model_put(model: &mut Model, path: &str, what: Option<String>) {
    for (at, _) in path.match_indices('/') {
        model.entry(path[..at].to_owned()).or_insert(None);
    }
    if what.is_some() || model.get(path).is_some_and(Option::is_some) {
        model_remove(model, path);
    }
    model.insert(path.to_owned(), what);
}

#[test]
fn random_layers_merge_as_the_model_says() {
    let mut random = fastrand::Rng::with_seed(0x5eed);
    let mut merges = 0;
    for round in 0..3000 {
        let mut model = Model::new();
        let mut layers = Vec::new();
        for depth in 0..=random.u64(..4) {
            let mut archive = Archive::default();
            let mut added: Vec<(String, Option<String>)> = Vec::new();
            let mut removed = Vec::new();
            for number in 0..random.u64(..8) {
                let names: Vec<&str> = (0..=random.u64(..3))
                    .map(|_| ["a", "b", "c"][random.usize(..3)])
                    .collect();
                let path = names.join("/");
                match random.u64(..6) {
                    0 => {
                        let (dir, name) =
                            path.rsplit_once('/').map_or(("", &*path), |(d, n)| (d, n));
                        archive =
                            archive.file(format!("{dir}/.wh.{name}").trim_start_matches('/'), "");
                        removed.push((path, false));
                    }
                    1 => {
                        archive = archive.file(&format!("{path}/.wh..wh..opq"), "");
                        removed.push((path, true));
                    }
                    2 => {
                        archive = archive.dir(&path);
                        added.push((path, None));
                    }
                    _ => {
                        let data = format!("{depth}.{number}");
                        archive = archive.file(&path, &data);
                        added.push((path, Some(data)));
                    }
                }
            }
            let before = model.clone();
            for (path, opaque) in removed {
                for gone in below(&before, &path) {
                    model.remove(&gone);
                }
                if !opaque {
                    model.remove(&path);
                }
            }
            layers.push(archive.end());
            let mut through_file = false;
            for (path, what) in added {
                through_file |= path
                    .match_indices('/')
                    .any(|(at, _)| model.get(&path[..at]).is_some_and(Option::is_some));
                if through_file {
                    break;
                }
                model_put(&mut model, &path, what);
            }
            if through_file {
                assert!(merged(&layers).is_err(), "round {round}");
                layers.clear();
                break;
            }
        }
        if layers.is_empty() {
            continue;
        }
        let (tree, files) = merged(&layers).unwrap();
        let found: Model = tree
            .walk()
            .skip(1)
            .map(|(path, id)| {
                let what = match &tree.inode(id).kind {
                    Kind::File(file) => {
                        let mut text = String::new();
                        files.open(file).unwrap().read_to_string(&mut text).unwrap();
                        Some(text)
                    }
                    _ => None,
                };
                (display(&path), what)
            })
            .collect();
        assert_eq!(found, model, "round {round}");
        merges += 1;
    }
    // Both outcomes must have been tried often.
    assert!((500..2900).contains(&merges), "{merges}");
}
