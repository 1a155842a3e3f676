// A recorded trace as a file: a line that names the format, events, and a last event that says that nothing is missing.

/// A recorded trace.
public struct TraceFile: Hashable, Sendable {
    /// The first line of every trace.
    public static let magic = "rampart-trace 1"
    /// The largest file that is read.
    public static let byteLimit = 1 << 31
    /// The name of the first event: what ran, and how.
    static let first = "run"
    /// The name of the last event: how it ended, and how many events there are before it.
    static let last = "end"

    /// The events in order, the first and the last included.
    public var events: [TraceEvent]

    /// Reads a trace.
    ///
    /// - Throws: `InputError`, in check order: no trace, a line that is none, no first event, time that runs backwards, no last
    ///   event, events missing
    public init(_ bytes: [UInt8], name: String) throws(InputError) {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard let first = lines.first, first.elementsEqual(Self.magic.utf8) else {
            throw InputError("\(name): not a trace. Make one with rampart run --trace FILE.")
        }
        var events: [TraceEvent] = []
        events.reserveCapacity(lines.count)
        for (number, line) in lines.enumerated().dropFirst() where !(line.isEmpty && number == lines.count - 1) {
            guard line.count < 1 << 16, let text = String(validating: line, as: UTF8.self),
                let event = TraceEvent(line: text[...])
            else {
                let why = number == lines.count - 1 ? "the trace is cut off there" : "no event"
                throw InputError("\(name): line \(number + 1): \(why). Record the trace again.")
            }
            guard events.last?.name != Self.last else {
                throw InputError("\(name): line \(number + 1): something follows the last event.")
            }
            guard event.time >= events.last?.time ?? 0 else {
                throw InputError("\(name): line \(number + 1): time runs backwards.")
            }
            events.append(event)
        }
        guard events.first?.name == Self.first else { throw InputError("\(name): line 2 does not say what ran.") }
        guard let last = events.last, last.name == Self.last else {
            throw InputError("\(name): the trace is cut off: its last event is missing. Record it again.")
        }
        guard last.number("events") == UInt64(events.count - 1) else {
            throw InputError("\(name): there are \(events.count - 1) events, not \(last["events"] ?? "any number").")
        }
        self.events = events
    }
}

/// Which events are wanted.
public struct TraceFilter: Sendable {
    private var names: Set<String> = []
    private var vcpus: Set<UInt32> = []
    private var gpas: [ClosedRange<UInt64>] = []
    private var times: [ClosedRange<UInt64>] = []

    /// Makes a filter that lets everything pass.
    public init() {}

    /// Adds a condition: `vcpu=N`, `gpa=A` or `gpa=A-B`, `time=A-B`, or `event=NAME,NAME`. Conditions of one kind are
    /// alternatives; of different kinds all must hold.
    ///
    /// - Throws: `InputError` for anything else
    public mutating func add(_ text: String) throws(InputError) {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        let refusal = InputError(
            "the filter \(text) has no meaning. Use vcpu=N, gpa=FIRST-LAST, time=FIRST-LAST or event=NAME,NAME.")
        guard parts.count == 2 else { throw refusal }
        switch parts[0] {
        case "event": names.formUnion(parts[1].split(separator: ",").map(String.init))
        case "vcpu":
            guard let number = UInt32(parts[1]) else { throw refusal }
            vcpus.insert(number)
        case "gpa", "time":
            let ends = parts[1].split(separator: "-", omittingEmptySubsequences: false).map { Self.number($0) }
            guard (1...2).contains(ends.count), let low = ends[0], let high = ends[ends.count - 1], low <= high else {
                throw refusal
            }
            if parts[0] == "gpa" { gpas.append(low...high) } else { times.append(low...high) }
        default: throw refusal
        }
    }

    private static func number(_ text: Substring) -> UInt64? {
        text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    }

    /// Whether an event is wanted.
    public func allows(_ event: TraceEvent) -> Bool {
        guard names.isEmpty || names.contains(event.name) else { return false }
        guard vcpus.isEmpty || event.vcpu.map(vcpus.contains) == true else { return false }
        guard times.isEmpty || times.contains(where: { $0.contains(event.time) }) else { return false }
        guard !gpas.isEmpty else { return true }
        guard let gpa = event.number("gpa") else { return false }
        let (sum, overflows) = gpa.addingReportingOverflow(max(event.number("bytes") ?? 1, 1) - 1)
        let end = overflows ? UInt64.max : sum
        return gpas.contains { $0.overlaps(gpa...end) }
    }
}
