//! Heap profiles as pprof, in the format of
//! [profile.proto](https://github.com/google/pprof/blob/main/proto/profile.proto).

use std::{collections::HashMap, io::Write, time::SystemTime};

use flate2::{write::GzEncoder, Compression};
use loco_rs::Result;
use prost::Message;

use super::heap_profile::{build_id, Frame, HeapProfile, Symbol};

#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[allow(clippy::struct_excessive_bools)] // those of profile.proto
#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    memory_start: u64,
    #[prost(uint64, tag = "3")]
    memory_limit: u64,
    #[prost(uint64, tag = "4")]
    file_offset: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(int64, tag = "6")]
    build_id: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
    #[prost(bool, tag = "8")]
    has_filenames: bool,
    #[prost(bool, tag = "9")]
    has_line_numbers: bool,
    #[prost(bool, tag = "10")]
    has_inline_frames: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

/// A profile while it is put together. Identifiers are positions starting at 1, and strings are
/// positions in a table that begins with an empty one.
#[derive(Default)]
struct Builder {
    profile: Profile,
    strings: HashMap<String, i64>,
    functions: HashMap<(String, String), u64>,
    /// By the address, and how many of its inlined functions are left out.
    locations: HashMap<(usize, usize), u64>,
}

/// Converts to pprof, gzipped: live objects and bytes by stack, named like those of Go.
///
/// # Errors
///
/// If it cannot be compressed.
pub fn encode(heap: &HeapProfile, taken: SystemTime) -> Result<Vec<u8>> {
    let symbols = heap.symbols();
    let mut builder = Builder::default();
    builder.string("");
    builder.describe(heap, taken);
    for stack in &heap.stacks {
        let frames = stack.frames(&symbols);
        let locations = frames.iter().map(|frame| builder.location(heap, frame));
        let location_id = locations.collect();
        builder.profile.sample.push(Sample {
            location_id,
            value: vec![rounded(stack.objects), rounded(stack.bytes)],
        });
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&builder.profile.encode_to_vec())?;
    Ok(gzip.finish()?)
}

impl Builder {
    fn string(&mut self, text: &str) -> i64 {
        if let Some(index) = self.strings.get(text) {
            return *index;
        }
        let index = signed(self.profile.string_table.len());
        self.profile.string_table.push(text.to_string());
        self.strings.insert(text.to_string(), index);
        index
    }

    fn value_type(&mut self, kind: &str, unit: &str) -> ValueType {
        ValueType {
            kind: self.string(kind),
            unit: self.string(unit),
        }
    }

    fn describe(&mut self, heap: &HeapProfile, taken: SystemTime) {
        let objects = self.value_type("inuse_objects", "count");
        let bytes = self.value_type("inuse_space", "bytes");
        self.profile.sample_type = vec![objects, bytes];
        self.profile.default_sample_type = bytes.kind;
        self.profile.period_type = Some(self.value_type("space", "bytes"));
        self.profile.period = rounded(heap.interval);
        let since_epoch = taken.duration_since(SystemTime::UNIX_EPOCH);
        let nanos = since_epoch.map_or(0, |elapsed| elapsed.as_nanos());
        self.profile.time_nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
        for (index, mapping) in heap.mappings.iter().enumerate() {
            let is_program = mapping.path == heap.mappings[0].path;
            let build_id = build_id((!is_program).then_some(mapping.path.as_ref()));
            let mapping = Mapping {
                id: index as u64 + 1,
                memory_start: mapping.start as u64,
                memory_limit: mapping.end as u64,
                file_offset: mapping.offset as u64,
                filename: self.string(&mapping.path),
                build_id: build_id.map_or(0, |id| self.string(&id)),
                ..Mapping::default()
            };
            self.profile.mapping.push(mapping);
        }
    }

    fn location(&mut self, heap: &HeapProfile, frame: &Frame<'_>) -> u64 {
        if let Some(id) = self.locations.get(&(frame.address, frame.skipped)) {
            return *id;
        }
        let line: Vec<Line> = frame
            .symbols
            .iter()
            .map(|symbol| Line {
                function_id: self.function(symbol),
                line: i64::from(symbol.line),
            })
            .collect();
        let mapping = heap.mapping(frame.address);
        if let Some(index) = mapping {
            let mapping = &mut self.profile.mapping[index];
            mapping.has_functions |= !line.is_empty();
            mapping.has_filenames |= frame.symbols.iter().any(|symbol| !symbol.file.is_empty());
            mapping.has_line_numbers |= line.iter().any(|line| line.line > 0);
            mapping.has_inline_frames |= line.len() > 1;
        }
        let id = self.profile.location.len() as u64 + 1;
        self.profile.location.push(Location {
            id,
            mapping_id: mapping.map_or(0, |index| index as u64 + 1),
            address: frame.address as u64,
            line,
        });
        self.locations.insert((frame.address, frame.skipped), id);
        id
    }

    fn function(&mut self, symbol: &Symbol) -> u64 {
        let key = (symbol.name.clone(), symbol.file.clone());
        if let Some(id) = self.functions.get(&key) {
            return *id;
        }
        let id = self.profile.function.len() as u64 + 1;
        let function = Function {
            id,
            name: self.string(&symbol.name),
            system_name: self.string(&symbol.mangled),
            filename: self.string(&symbol.file),
        };
        self.profile.function.push(function);
        self.functions.insert(key, id);
        id
    }
}

fn signed(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

#[allow(clippy::cast_possible_truncation)] // no service has exabytes
const fn rounded(value: f64) -> i64 {
    value.round() as i64
}

#[cfg(test)]
mod tests {
    use std::{io::Read, time::Duration};

    use flate2::read::GzDecoder;
    use serial_test::serial;

    use super::*;

    // Looking up names takes memory, which other tests measure.
    #[test]
    #[serial]
    fn live_objects_and_bytes_are_those_of_the_heap_profile() {
        // An address of this program, so that it has a function.
        let here = live_objects_and_bytes_are_those_of_the_heap_profile as *const () as usize + 1;
        let dump = format!(
            "heap_v2/1\n@ {here:#x} 0x11\nt*: 3: 4096 [0: 0]\n@ {here:#x}\nt*: 1: 512 [0: 0]\n\
             MAPPED_LIBRARIES:\n{:x}-{:x} r-xp 1000 08:01 7 /usr/app/service\n",
            here - 16,
            here + 16
        );
        let heap = HeapProfile::parse(&dump, true).expect("a profile");
        let taken = SystemTime::UNIX_EPOCH + Duration::from_secs(5);

        let gzip = encode(&heap, taken).expect("pprof");

        let mut encoded = Vec::new();
        let mut decoder = GzDecoder::new(&gzip[..]);
        decoder.read_to_end(&mut encoded).expect("gzip");
        let profile = Profile::decode(&encoded[..]).expect("a profile");
        let text = |index: i64| &profile.string_table[usize::try_from(index).expect("an index")];
        let types: Vec<[&String; 2]> = profile
            .sample_type
            .iter()
            .map(|value| [text(value.kind), text(value.unit)])
            .collect();
        assert_eq!(
            types,
            [["inuse_objects", "count"], ["inuse_space", "bytes"]]
        );
        let values: Vec<&[i64]> = profile
            .sample
            .iter()
            .map(|sample| &sample.value[..])
            .collect();
        assert_eq!(values, [[3, 4096], [1, 512]]);
        // The two stacks share an address, which is in the program.
        assert_eq!(profile.sample[0].location_id, [1, 2]);
        assert_eq!(profile.sample[1].location_id, [1]);
        let location = &profile.location[0];
        assert_eq!(location.address, here as u64 - 1);
        assert_eq!(location.mapping_id, 1);
        let mapping = profile.mapping[0];
        assert_eq!(text(mapping.filename), "/usr/app/service");
        assert_eq!(mapping.file_offset, 0x1000);
        assert!(mapping.has_functions);
        let function = location.line[0].function_id;
        let function = profile.function.iter().find(|known| known.id == function);
        let name = text(function.expect("a function").name);
        assert!(
            name.ends_with("live_objects_and_bytes_are_those_of_the_heap_profile"),
            "{name}"
        );
        assert_eq!(text(profile.default_sample_type), "inuse_space");
        assert_eq!(profile.location[1].mapping_id, 0);
        assert_eq!(profile.time_nanos, 5_000_000_000);
        assert_eq!(text(0), "");
    }
}
