// `rampart convert`: converts guest memory and tells what it took.

import ArgumentParser
import Rampart
import SNPArchitecture

struct ConvertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Convert guest memory between private and shared, and show what it took.",
        discussion: """
            Without a plan all memory is made private and then shared again. A plan has a conversion on each line:

              # verb  address   size
              private 0x100000  2M
              shared  0x180000  64K

            Ends with status 1 if a conversion failed, a page was leaked or an invariant is broken.

              rampart convert --memory 1T --page-size 2M
              rampart convert --memory 4G --policy lazy --plan conversions.txt --json
              rampart convert --memory 256G --rmp-segment-size 64G
            """)

    @Option(
        help: ArgumentHelp("The guest's memory (default: 1G).", valueName: "size"),
        transform: ByteSize.init(argument:))
    var memory: ByteSize?

    @Option(
        help: ArgumentHelp("Page size of the backing memory: 4K or 2M (default: 2M).", valueName: "size"),
        transform: PageSize.init(argument:))
    var pageSize: PageSize?

    @Option(help: "How conversions change the RMP (eager, lazy, asPosted).", transform: PolicyName.init(argument:))
    var policy = PolicyName.eager

    @Option(help: ArgumentHelp("File with a list of conversions.", valueName: "file"))
    var plan: String?

    @Option(
        help: ArgumentHelp(
            "Largest folio of the backing memory, 2^order pages: 0 to 9, or 18 for 1 GiB (default: the page size).",
            valueName: "order"))
    var folioOrder: UInt8?

    @Option(help: ArgumentHelp("Make the n-th RMPUPDATE fail for good, counted from 1.", valueName: "n"))
    var failRmpupdate: UInt64?

    @Option(
        help: ArgumentHelp(
            "Have a Turin's RMP in segments, each for this much memory: a power of two from 1G to 1T.",
            valueName: "size"),
        transform: ByteSize.init(argument:))
    var rmpSegmentSize: ByteSize?

    @Flag(help: "Print JSON.")
    var json = false

    /// What the arguments ask for; reads the plan.
    ///
    /// - Throws: in check order: `CommandFailure` for the memory's size; `InputError` for the plan
    func request() throws -> ConvertRequest {
        let memory = try memory ?? ByteSize(parsing: "1G")
        let pageSize = pageSize ?? .size2M
        try checkMemory(memory, multipleOf: pageSize)
        var list: ConversionList?
        if let plan {
            do { list = try ConversionList.load(plan, memory: memory) } catch { throw InputError("\(error)") }
        }
        if let folioOrder, folioOrder > 9, folioOrder != 18 {
            throw CommandFailure.usage("--folio-order \(folioOrder) is not an order of folios. Use 0 to 9, or 18.")
        }
        if let size = rmpSegmentSize {
            guard size.byteCount.nonzeroBitCount == 1, (1 << 30...1 << 40).contains(size.byteCount) else {
                throw CommandFailure.usage("--rmp-segment-size \(size) is not a power of two from 1G to 1T.")
            }
        }
        guard failRmpupdate != 0 else { throw CommandFailure.usage("--fail-rmpupdate counts from 1.") }
        return ConvertRequest(
            memory: memory, pageSize: pageSize, policy: policy, list: list, folioOrder: folioOrder,
            failingUpdate: failRmpupdate, rmpSegmentSize: rmpSegmentSize)
    }

    func outcome(_ report: ConvertReport) -> CommandOutcome {
        CommandOutcome(
            output: json ? report.json.indented() + "\n" : report.text, status: report.isGood ? .good : .violation)
    }
}

extension ConvertReport {
    /// The report for a person.
    var text: String {
        var lines = [
            "\(request.memory) of guest memory on \(request.pageSize) pages, policy \(request.policy.rawValue)"
                + (request.rmpSegmentSize.map { ", RMP segments of \($0)" } ?? "")
        ]
        for step in steps {
            let range = "\(step.step.frames.lowerBound.address)..<\(step.step.frames.upperBound.address)"
            lines.append(
                "\(step.step.target.rawValue) \(range): \(step.convertedPageCount) pages in \(step.duration.text)")
            lines.append("  " + step.counts.text)
            if let failure = step.failure { lines.append("  FAILED: \(failure)") }
        }
        let states = before.map(\.state) + after.map(\.state).filter { state in !before.contains { $0.state == state } }
        lines.append(padded("pages", to: 16) + padded(left: "before", to: 16) + padded(left: "after", to: 16))
        for state in states {
            func count(_ tallies: [PageTally]) -> String {
                String(tallies.first { $0.state == state }?.pageCount ?? 0)
            }
            lines.append(
                padded(state, to: 16) + padded(left: count(before), to: 16) + padded(left: count(after), to: 16))
        }
        if leakedPageCount > 0 { lines.append("LEAKED: \(leakedPageCount) pages could be brought to neither state") }
        return (lines + violationLines(violations)).joined(separator: "\n") + "\n"
    }

    /// The report for a program.
    var json: JSON {
        .object([
            ("memoryBytes", .unsigned(request.memory.byteCount)), ("pageSize", .string(request.pageSize.description)),
            ("policy", .string(request.policy.rawValue)), ("steps", .array(steps.map(\.json))),
            ("before", tallyJSON(before)), ("after", tallyJSON(after)), ("leakedPages", .unsigned(leakedPageCount)),
            ("violations", .array(violations.map { .string($0) })), ("good", .boolean(isGood)),
        ])
    }
}

extension ConvertStepReport {
    var json: JSON {
        .object([
            ("target", .string(step.target.rawValue)), ("gpa", .string(step.frames.lowerBound.address.description)),
            ("pages", .integer(step.frames.count)), ("converted", .unsigned(convertedPageCount)),
            ("failure", failure.map { .string($0) } ?? .null), ("counts", counts.json), ("nanoseconds", duration.json),
        ])
    }
}

extension ConvertCommand: OutcomeCommand {
    func perform() throws -> CommandOutcome { outcome(try convert(request(), progress: Progress.show)) }
}
