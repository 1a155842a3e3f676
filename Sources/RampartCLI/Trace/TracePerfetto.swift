// A trace as JSON in Chrome's trace event format, which Perfetto reads: a track for each virtual CPU with slices for the guest's
// and the host's time, instants for what they do, and a counter of page states.

import Rampart

extension TraceFile {
    /// The events that a filter allows, as one JSON object.
    ///
    /// The unit of time is a tick of the run's clock, shown as a microsecond. The host's work takes no virtual time; so that it
    /// can be seen, each event takes one more tick.
    func perfetto(_ filter: TraceFilter = TraceFilter()) -> String {
        var writer = PerfettoWriter()
        for (index, event) in events.enumerated() {
            writer.add(event, at: event.time &+ UInt64(index), isAllowed: filter.allows(event))
        }
        return writer.finish()
    }
}

private struct PerfettoWriter {
    /// What a virtual CPU's track is in the middle of.
    private struct Open {
        var name: String
        var start: UInt64
        var last: UInt64
        var arguments: [(String, JSON)]
        var isAllowed: Bool
    }
    private var lines: [String] = []
    private var slices: [UInt32: Open] = [:]
    private var tracks: Set<UInt32> = []
    private var follower = TracedPageCounter()

    mutating func add(_ event: TraceEvent, at time: UInt64, isAllowed: Bool) {
        if let vcpu = event.vcpu, tracks.insert(vcpu).inserted { nameTrack(UInt64(vcpu) + 1, "vCPU \(vcpu)") }
        let arguments = event.fields.map { ($0.name, JSON.string($0.value)) }
        switch (event.name, event.vcpu) {
        case ("entry", let vcpu?): begin("guest", vcpu, time, arguments, isAllowed)
        case ("exit", let vcpu?): begin("host: " + (event["reason"] ?? "exit"), vcpu, time, arguments, isAllowed)
        default:
            if isAllowed {
                lines.append(
                    JSON.object([
                        ("name", .string(event.name)), ("ph", .string("i")), ("s", .string("t")),
                        ("ts", .unsigned(time)),
                        ("pid", .integer(1)), ("tid", .unsigned(event.vcpu.map { UInt64($0) + 1 } ?? 0)),
                        ("args", .object(arguments)),
                    ]).text)
            }
        }
        if let vcpu = event.vcpu { slices[vcpu]?.last = time }
        if let pages = follower.follow(event) {
            lines.append(
                JSON.object([
                    ("name", .string("guest pages")), ("ph", .string("C")), ("ts", .unsigned(time)),
                    ("pid", .integer(1)),
                    (
                        "args",
                        .object([
                            ("validated", .unsigned(pages.validated)),
                            ("not validated", .unsigned(pages.assigned &- pages.validated)),
                        ])
                    ),
                ]).text)
        }
    }

    private mutating func begin(
        _ name: String, _ vcpu: UInt32, _ time: UInt64, _ arguments: [(String, JSON)], _ isAllowed: Bool
    ) {
        // The guest's slice lasts until its exit; the host's until the last thing it did for this virtual CPU.
        if let before = slices[vcpu] { close(before, vcpu, at: before.name == "guest" ? time : before.last) }
        slices[vcpu] = Open(name: name, start: time, last: time, arguments: arguments, isAllowed: isAllowed)
    }

    private mutating func close(_ slice: Open, _ vcpu: UInt32, at end: UInt64) {
        guard slice.isAllowed else { return }
        lines.append(
            JSON.object([
                ("name", .string(slice.name)), ("ph", .string("X")), ("ts", .unsigned(slice.start)),
                ("dur", .unsigned(max(end &- slice.start, 1))), ("pid", .integer(1)),
                ("tid", .unsigned(UInt64(vcpu) + 1)),
                ("args", .object(slice.arguments)),
            ]).text)
    }

    private mutating func nameTrack(_ track: UInt64, _ name: String) {
        lines.append(
            JSON.object([
                ("name", .string("thread_name")), ("ph", .string("M")), ("pid", .integer(1)), ("tid", .unsigned(track)),
                ("args", .object([("name", .string(name))])),
            ]).text)
    }

    mutating func finish() -> String {
        for (vcpu, slice) in slices.sorted(by: { $0.key < $1.key }) { close(slice, vcpu, at: slice.last) }
        nameTrack(0, "host")
        lines.append(
            JSON.object([
                ("name", .string("process_name")), ("ph", .string("M")), ("pid", .integer(1)), ("tid", .integer(0)),
                ("args", .object([("name", .string("rampart"))])),
            ]).text)
        return "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n" + lines.joined(separator: ",\n") + "\n]}\n"
    }
}
