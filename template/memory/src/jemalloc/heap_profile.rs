//! Reads heap profiles in jemalloc's format (`jeprof` reads it, too), and turns them into flame graphs.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::c_void,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use inferno::flamegraph::{from_lines, Options};
use loco_rs::{Error, Result};

/// How many addresses to keep symbols for: looking them up takes tens of MiB.
const MAX_SYMBOLS: usize = 50_000;

/// What was live at one moment, by the stack that allocated it, as estimated from samples.
#[derive(Debug)]
pub struct HeapProfile {
    /// Whether this process wrote it. Programs and libraries are at other addresses in each process.
    is_own: bool,
    /// The average number of bytes between two samples.
    pub interval: f64,
    pub stacks: Vec<Stack>,
    /// The program and its libraries.
    pub mappings: Vec<Mapping>,
}

/// Where memory was allocated, and how much of it is live.
#[derive(Debug, PartialEq)]
pub struct Stack {
    /// The addresses of the calls, from the innermost function to the outermost.
    addresses: Vec<usize>,
    pub objects: f64,
    pub bytes: f64,
}

/// An executable mapping of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Mapping {
    pub start: usize,
    pub end: usize,
    /// Where the mapping begins in the file.
    pub offset: usize,
    pub path: String,
}

/// A function, or one that was inlined into it.
#[derive(Debug)]
pub struct Symbol {
    pub name: String,
    /// The name as it is in the binary.
    pub mangled: String,
    pub file: String,
    pub line: u32,
}

/// The functions at an address: those that were inlined come first.
pub type Symbols = HashMap<usize, Arc<[Symbol]>>;

/// A call of a stack.
#[derive(Debug)]
pub struct Frame<'a> {
    pub address: usize,
    /// How many of the inlined functions are left out.
    pub skipped: usize,
    pub symbols: &'a [Symbol],
}

impl HeapProfile {
    /// Parses what `prof.dump` of [mallctl](https://jemalloc.net/jemalloc.3.html#prof.dump) writes.
    ///
    /// # Errors
    ///
    /// If it is in another format.
    pub fn parse(dump: &str, is_own: bool) -> Result<Self> {
        let malformed =
            |line: &str| Error::string(&format!("not a heap profile of jemalloc's: {line}"));
        let (samples, maps) = dump.split_once("MAPPED_LIBRARIES:").unwrap_or((dump, ""));
        let mut lines = samples.lines();
        let head = lines.next().unwrap_or_default();
        let interval: f64 = head
            .strip_prefix("heap_v2/")
            .and_then(|bytes| bytes.parse().ok())
            .ok_or_else(|| malformed(head))?;
        let mut stacks = Vec::new();
        let mut addresses = None;
        for line in lines.map(str::trim) {
            if let Some(stack) = line.strip_prefix('@') {
                let stack: Option<Vec<usize>> = stack
                    .split_whitespace()
                    .map(|address| {
                        let digits = address.strip_prefix("0x")?;
                        // The stack holds return addresses: step back into the call.
                        usize::from_str_radix(digits, 16).ok()?.checked_sub(1)
                    })
                    .collect();
                addresses = Some(stack.ok_or_else(|| malformed(line))?);
            } else if let Some(counts) = line.strip_prefix("t*:") {
                // `t*: 12: 3456 [0: 0]`, of all threads together. The first such line sums all
                // stacks.
                let Some(addresses) = addresses.take() else {
                    continue;
                };
                let (objects, bytes) = counts
                    .split_once('[')
                    .and_then(|(live, _)| live.split_once(':'))
                    .and_then(|(objects, bytes)| {
                        Some((objects.trim().parse().ok()?, bytes.trim().parse().ok()?))
                    })
                    .ok_or_else(|| malformed(line))?;
                stacks.push(Stack::estimate(addresses, objects, bytes, interval));
            }
        }
        Ok(Self {
            is_own,
            interval,
            stacks,
            mappings: maps.lines().filter_map(Mapping::parse).collect(),
        })
    }

    /// The mapping that contains an address, counted from 0.
    pub fn mapping(&self, address: usize) -> Option<usize> {
        self.mappings
            .iter()
            .position(|mapping| (mapping.start..mapping.end).contains(&address))
    }

    /// The functions of all stacks, found in the program that is running and its libraries.
    pub fn symbols(&self) -> Symbols {
        static KNOWN: Mutex<Option<Symbols>> = Mutex::new(None);
        let maps = if self.is_own {
            String::new() // `here` needs none
        } else {
            fs::read_to_string("/proc/self/maps").unwrap_or_default()
        };
        let present: Vec<Mapping> = maps.lines().filter_map(Mapping::parse).collect();
        let lock = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = lock().take().unwrap_or_default();
        if known.len() > MAX_SYMBOLS {
            known.clear();
        }
        let mut symbols = Symbols::new();
        for address in self.stacks.iter().flat_map(|stack| &stack.addresses) {
            symbols.entry(*address).or_insert_with(|| {
                self.here(*address, &present)
                    .map_or_else(Arc::default, |here| {
                        let found = known.entry(here);
                        Arc::clone(found.or_insert_with(|| resolve(here).into()))
                    })
            });
        }
        *lock() = Some(known);
        // The debug information that was read takes as much memory as a small service.
        backtrace::clear_symbol_cache();
        symbols
    }

    /// Where an address of the profile is in this process.
    fn here(&self, address: usize, present: &[Mapping]) -> Option<usize> {
        if self.is_own {
            return Some(address);
        }
        let then = &self.mappings[self.mapping(address)?];
        let offset = address - then.start + then.offset;
        // The same build may run from another path. The program comes first.
        let is_program = self
            .mappings
            .first()
            .is_some_and(|first| first.path == then.path);
        let path = if is_program {
            &present.first()?.path
        } else {
            &then.path
        };
        let now = present.iter().find(|now| {
            now.path == *path && (now.offset..now.offset + (now.end - now.start)).contains(&offset)
        })?;
        Some(offset - now.offset + now.start)
    }

    /// The name of a place for which no function is known, such as `libc.so.6+0x2021`.
    fn place(&self, address: usize) -> String {
        self.mapping(address).map_or_else(
            || "[unknown]".to_string(),
            |index| {
                let mapping = &self.mappings[index];
                let file = mapping.path.rsplit('/').next().unwrap_or_default();
                format!("{file}+{:#x}", address - mapping.start + mapping.offset)
            },
        )
    }

    /// Live bytes by the names of functions, from the outermost to the innermost.
    fn folded(&self) -> BTreeMap<String, f64> {
        let symbols = self.symbols();
        let mut folded = BTreeMap::new();
        for stack in &self.stacks {
            let mut names: Vec<String> = Vec::new();
            for frame in stack.frames(&symbols) {
                if frame.symbols.is_empty() {
                    names.push(self.place(frame.address));
                }
                // The semicolon separates functions.
                let functions = frame.symbols.iter();
                names.extend(functions.map(|symbol| symbol.label().replace(';', ",")));
            }
            names.reverse();
            if names.is_empty() {
                names.push("[unknown]".to_string());
            }
            *folded.entry(names.join(";")).or_default() += stack.bytes;
        }
        folded
    }

    /// Draws a flame graph (SVG): of the live memory, or of what has grown since another profile. `None`
    /// if there are no samples.
    ///
    /// # Errors
    ///
    /// If it cannot be drawn.
    pub fn flame_graph(&self, since: Option<&Self>) -> Result<Option<Vec<u8>>> {
        let now = self.folded();
        if now.values().sum::<f64>() < 1.0 {
            return Ok(None);
        }
        let before = since.map(Self::folded);
        let lines: Vec<String> = now
            .iter()
            .map(|(stack, bytes)| {
                let earlier = before.as_ref().map_or_else(String::new, |before| {
                    format!("{:.0} ", before.get(stack).unwrap_or(&0.0))
                });
                format!("{stack} {earlier}{bytes:.0}")
            })
            .collect();
        let mut options = Options::default();
        options.count_name = "bytes".to_string();
        options.title = if since.is_some() {
            "Live memory: what has grown is red".to_string()
        } else {
            "Live memory".to_string()
        };
        let mut svg = Vec::new();
        from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)?;
        Ok(Some(svg))
    }
}

impl Stack {
    /// Estimates how much is live from how much of it was sampled, as `jeprof` does: an allocation of
    /// `n` bytes is sampled with a probability of 1 - e^(-n/interval).
    fn estimate(addresses: Vec<usize>, objects: f64, bytes: f64, interval: f64) -> Self {
        let factor = if objects > 0.0 && bytes > 0.0 {
            1.0 / (1.0 - (-bytes / objects / interval).exp())
        } else {
            0.0
        };
        Self {
            addresses,
            objects: objects * factor,
            bytes: bytes * factor,
        }
    }

    /// The calls from the innermost to the outermost, beginning with the one that asked the standard
    /// library for memory.
    pub fn frames<'a>(&self, symbols: &'a Symbols) -> Vec<Frame<'a>> {
        let functions =
            |address: &usize| symbols.get(address).map_or(&[][..], |symbols| &symbols[..]);
        // Skip the allocator's own frames, up to its outermost entry point.
        let mut allocator = 0;
        let mut entries = 0;
        for (index, address) in self.addresses.iter().enumerate() {
            let entry = functions(address)
                .iter()
                .rposition(Symbol::is_allocator_entry);
            if let Some(entry) = entry {
                (allocator, entries) = (index, entry + 1);
            }
        }
        let after = |is_skipped: fn(&Symbol) -> bool| {
            let mut frames: Vec<Frame<'a>> = Vec::new();
            for (index, address) in self.addresses.iter().enumerate().skip(allocator) {
                let all = functions(address);
                let mut skipped = if index == allocator { entries } else { 0 };
                if frames.is_empty() {
                    let callers = all[skipped..].iter();
                    skipped += callers.take_while(|symbol| is_skipped(symbol)).count();
                }
                if skipped < all.len() || all.is_empty() {
                    frames.push(Frame {
                        address: *address,
                        skipped,
                        symbols: &all[skipped..],
                    });
                }
            }
            frames
        };
        let callers = after(Symbol::is_of_standard_library);
        if callers.is_empty() {
            // The standard library itself, such as the start of a thread.
            return after(|_| false);
        }
        callers
    }
}

impl Symbol {
    /// The name, with the file if the debug information has it without its module, as for functions that
    /// were inlined: `insert (controllers/posts.rs)`.
    fn label(&self) -> String {
        if self.name.contains("::") || self.file.is_empty() {
            return self.name.clone();
        }
        let start = self
            .file
            .rmatch_indices('/')
            .nth(1)
            .map_or(0, |(at, _)| at + 1);
        format!("{} ({})", self.name, &self.file[start..])
    }

    /// Whether it is one by which the allocator is called.
    fn is_allocator_entry(&self) -> bool {
        const NAMES: [&str; 8] = [
            "malloc",
            "calloc",
            "realloc",
            "posix_memalign",
            "aligned_alloc",
            "mallocx",
            "rallocx",
            "xallocx",
        ];
        const RUST: [&str; 4] = [
            "tikv_jemallocator",
            "__rust_alloc",
            "__rust_realloc",
            "__rdl_",
        ];
        NAMES.contains(&self.name.strip_prefix("_rjem_").unwrap_or(&self.name))
            || RUST.iter().any(|part| self.name.contains(part))
            || self.file.contains("/tikv-jemallocator-")
    }

    /// Whether it belongs to the standard library or its hash maps.
    fn is_of_standard_library(&self) -> bool {
        let name = self.name.trim_start_matches(['<', '&']);
        let name = name.strip_prefix("T as ").unwrap_or(name);
        ["alloc::", "core::", "std::", "hashbrown::"]
            .iter()
            .any(|library| name.starts_with(library))
            || [
                "/library/alloc/",
                "/library/core/",
                "/library/std/",
                "/hashbrown-",
            ]
            .iter()
            .any(|folder| self.file.contains(folder))
    }
}

impl Mapping {
    /// Parses a line of `/proc/<pid>/maps` (proc(5)), or what jemalloc writes on macOS:
    /// `<start>-<end>: <path>`. `None` for what has no instructions, or no file.
    fn parse(line: &str) -> Option<Self> {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.trim_end_matches(':').split_once('-')?;
        let number = |digits: &str| usize::from_str_radix(digits, 16).ok();
        let (attributes, path) = rest.split_at(rest.find('/')?);
        let mut attributes = attributes.split_whitespace();
        if attributes
            .next()
            .is_some_and(|permissions| !permissions.contains('x'))
        {
            return None;
        }
        Some(Self {
            start: number(start)?,
            end: number(end)?,
            offset: attributes.next().and_then(number).unwrap_or(0),
            // The file may have been replaced since.
            path: path.trim_end_matches(" (deleted)").to_string(),
        })
    }
}

/// The functions at an address of this process, inlined ones first.
fn resolve(address: usize) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    // `resolve` expects a return address.
    backtrace::resolve((address + 1) as *mut c_void, |symbol| {
        let Some(name) = symbol.name() else { return };
        symbols.push(Symbol {
            // Without the hash.
            name: format!("{name:#}"),
            mangled: String::from_utf8_lossy(name.as_bytes()).into_owned(),
            file: symbol
                .filename()
                .map(|path| path.to_string_lossy().into_owned())
                .unwrap_or_default(),
            line: symbol.lineno().unwrap_or(0),
        });
    });
    symbols
}

/// The [build ID](https://sourceware.org/binutils/docs/ld/Options.html) of the program that is running, or
/// of a library at this path, in hexadecimal. Only known on Linux, and if the linker has set it.
#[cfg(target_os = "linux")]
pub fn build_id(library: Option<&Path>) -> Option<String> {
    // The first is the program, under the name with which it was started.
    let mut mappings = mappings::MAPPINGS.iter().flatten();
    let mapping = match library {
        None => mappings.next(),
        Some(path) => mappings.find(|mapping| mapping.pathname == path),
    }?;
    Some(mapping.build_id.as_ref()?.to_string())
}

#[cfg(not(target_os = "linux"))]
pub const fn build_id(_library: Option<&Path>) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use serial_test::serial;

    use super::*;

    const DUMP: &str = "heap_v2/1024
  t*: 3: 70000 [0: 0]
  t1: 3: 70000 [0: 0]
@ 0x1011 0x2021 0x9001
  t*: 1: 65536 [0: 0]
  t1: 1: 65536 [0: 0]
@ 0x1011
  t*: 2: 1024 [0: 0]

MAPPED_LIBRARIES:
800-1000 r--p 00000000 08:01 7    /usr/app/my service (deleted)
1000-2000 r-xp 00000800 08:01 7    /usr/app/my service (deleted)
2000-3000 r-xp 00000000 08:01 8    /lib/libc.so.6
9000-a000 rw-p 00000000 00:00 0    [heap]
";

    #[test]
    fn a_dump_is_parsed() {
        let profile = HeapProfile::parse(DUMP, false).expect("a profile");

        let [program, library] = &profile.mappings[..] else {
            panic!("{profile:?}");
        };
        assert_eq!(program.path, "/usr/app/my service");
        assert_eq!((program.start, program.offset), (0x1000, 0x800));
        assert_eq!(library.path, "/lib/libc.so.6");
        let [certain, likely] = &profile.stacks[..] else {
            panic!("{profile:?}");
        };
        assert_eq!(certain.addresses, [0x1010, 0x2020, 0x9000]);
        assert!((certain.bytes - 65536.0).abs() < 1.0, "{certain:?}");
        assert!((certain.objects - 1.0).abs() < 0.01, "{certain:?}");
        // 512 bytes are sampled with a probability of 39 %.
        assert!((likely.objects - 5.08).abs() < 0.01, "{likely:?}");
    }

    #[test]
    fn anything_else_is_refused() {
        for dump in [
            "",
            "heap_v1/1",
            "heap_v2/1\n@ x\n",
            "heap_v2/1\n@ 0x1\nt*: 1\n",
        ] {
            HeapProfile::parse(dump, false).expect_err(dump);
        }
    }

    #[test]
    fn addresses_of_another_process_are_found_in_this_one() {
        let present: Vec<Mapping> = [
            "5000-7000 r-xp 00000000 08:01 7 /another/path/of the same build",
            "20000-21000 r--p 00000000 08:01 8 /lib/libc.so.6",
            "22000-23000 r-xp 00000000 08:01 8 /lib/libc.so.6",
        ]
        .into_iter()
        .filter_map(Mapping::parse)
        .collect();
        let profile = HeapProfile::parse(DUMP, false).expect("a profile");

        let here = |address| profile.here(address, &present);
        assert_eq!(here(0x1010), Some(0x5810));
        assert_eq!(here(0x2020), Some(0x22020));
        assert_eq!(here(0x9000), None);
        let own = HeapProfile::parse(DUMP, true).expect("a profile");
        assert_eq!(own.here(0x9000, &present), Some(0x9000));
    }

    /// The labels of the functions that remain. Each address has several, with or without a file.
    fn remaining(functions: &[&[&str]]) -> Vec<String> {
        let stack = Stack {
            addresses: (0..functions.len()).collect(),
            objects: 1.0,
            bytes: 1.0,
        };
        let symbol = |function: &&str| {
            let (name, file) = function.split_once(" in ").unwrap_or((function, ""));
            Symbol {
                name: name.to_string(),
                mangled: String::new(),
                file: file.to_string(),
                line: 0,
            }
        };
        let names = functions.iter().map(|names| names.iter().map(symbol));
        let symbols = names.map(Iterator::collect).enumerate().collect();
        let frames = stack.frames(&symbols);
        let symbols = frames.iter().flat_map(|frame| frame.symbols);
        symbols.map(Symbol::label).collect()
    }

    #[test]
    fn the_innermost_function_is_the_one_that_asked_for_memory() {
        let stack: [&[&str]; 5] = [
            &["prof_backtrace_impl", "_rjem_je_prof_tctx_create"],
            &["_rjem_je_malloc_default"],
            &["<tikv_jemallocator::Jemalloc as core::alloc::global::GlobalAlloc>::alloc"],
            &[
                "__rustc::__rust_alloc",
                "<T as alloc::slice::hack::ConvertVec>::to_vec",
                "svc::leak",
            ],
            &["std::thread::spawn", "svc::main"],
        ];

        assert_eq!(
            remaining(&stack),
            ["svc::leak", "std::thread::spawn", "svc::main"]
        );
        let stack: [&[&str]; 3] = [&["do_rallocx"], &["realloc"], &["sqlite3MemRealloc"]];
        assert_eq!(remaining(&stack), ["sqlite3MemRealloc"]);
    }

    #[test]
    fn functions_that_were_inlined_are_known_by_their_files() {
        let stack: [&[&str]; 2] = [
            &["alloc in /registry/tikv-jemallocator-0.7.0/src/lib.rs"],
            &[
                "with_capacity_in<u8> in /rustc/1.95.0/library/alloc/src/vec/mod.rs",
                "insert in /registry/hashbrown-0.16.0/src/map.rs",
                "hoard in src/controllers/load.rs",
            ],
        ];

        assert_eq!(remaining(&stack), ["hoard (controllers/load.rs)"]);
    }

    #[test]
    fn what_the_standard_library_allocates_for_itself_is_its_own() {
        assert_eq!(
            remaining(&[&["malloc"], &["std::rt::lang_start"]]),
            ["std::rt::lang_start"]
        );
    }

    // Looking up names takes memory, which other tests measure.
    #[test]
    #[serial]
    fn a_flame_graph_of_two_profiles_shows_what_has_grown() {
        let before = HeapProfile::parse(DUMP, false).expect("a profile");
        let grown = DUMP.replace("t*: 1: 65536", "t*: 2: 131072");
        let now = HeapProfile::parse(&grown, false).expect("a profile");

        let svg = now.flame_graph(Some(&before)).expect("no error");

        let svg = String::from_utf8(svg.expect("samples")).expect("SVG");
        // Without functions, places have the names of their files.
        let title = |name: &str| {
            let title = svg.split("<title>").find(|title| title.starts_with(name));
            title.unwrap_or_else(|| panic!("no {name} in {svg}"))
        };
        title("[unknown] (131,");
        title("libc.so.6+0x20 (131,");
        // Growth is that of the innermost.
        assert!(title("my service+0x810 (131,").contains("; +"), "{svg}");
        let empty = HeapProfile::parse("heap_v2/1024\n", false).expect("a profile");
        assert!(empty.flame_graph(None).expect("no error").is_none());
    }
}
