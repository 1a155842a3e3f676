// A step and its outcome in words, for transcripts and messages.

internal import Machine
internal import SNPArchitecture

extension GuestScript {
    /// A step as a line of a script's text, without its expectation. Contents are shortened to their length.
    public func text(of step: GuestStep) -> String {
        switch step.operation {
        case .touch(let gpa, let cBit, let kind, let count): "touch \(gpa)\(Self.times(count)) \(cBit) \(kind)"
        case .read(let gpa, let cBit, let range): "read \(gpa) \(cBit) (\(range.count) bytes)"
        case .write(let gpa, let cBit, let range): "write \(gpa) \(cBit) (\(range.count) bytes)"
        case .pvalidate(let gpa, let size, let validation, let count):
            "pvalidate \(gpa)\(Self.times(count)) \(size) \(validation)"
        case .rmpAdjust(let gpa, let size, let target, let permissions, let vmsa):
            "rmpadjust \(gpa) \(size) \(target) \(StepOutcome.text(of: permissions))\(vmsa ? " vmsa" : "")"
        case .rmpQuery(let gpa, let target): "rmpquery \(gpa) \(target)"
        case .msr(let value): "msr 0x\(String(value, radix: 16))"
        case .useGHCB(let gpa): "ghcb \(gpa)"
        case .vmgexit(let call): "vmgexit \(Self.text(of: calls[Int(call)]))"
        case .changePageStates(let first, let count):
            "psc \(pageStates[Int(first)].gfn.address)\(Self.times(count)) \(pageStates[Int(first)].size)"
        case .report(let request): "report vmpck=\(reports[Int(request)].vmpck) vmpl=\(reports[Int(request)].vmpl)"
        case .terminate(let value): "terminate \(value >> 12 & 0xf) \(value >> 16 & 0xff)"
        case .pause: "pause"
        case .halt: "halt"
        case .shutdown: "shutdown"
        }
    }

    /// A result in words: the step, what it came to, and what was expected if that is something else.
    public func text(of result: StepResult) -> String {
        guard steps.indices.contains(Int(result.step)) else { return "step \(result.step): \(result.outcome)" }
        let step = steps[Int(result.step)]
        var line = "step \(result.step): \(text(of: step)): \(result.outcome)"
        if step.operation.pageCount > 1 { line += " after \(result.pagesDone) pages" }
        if !step.expectation.accepts(result.outcome), case .outcome(let expected) = step.expectation {
            line += ", expected \(expected)"
        }
        return line
    }

    private static func times(_ count: UInt32) -> String { count == 1 ? "" : " x\(count)" }

    private static func text(of call: GHCBCall) -> String {
        call.inputs.map { input in
            input.field == .exitCode
                ? ExitCode(input.value).description : "\(input.field)=0x\(String(input.value, radix: 16))"
        }.joined(separator: " ")
    }
}

extension StepOutcome: CustomStringConvertible {
    /// The outcome in the words of a script's text.
    public var description: String {
        switch self {
        case .done: "ok"
        case .unchanged: "unchanged"
        case .status(let status): status.name
        case .exception(let code): "vc:\(code)"
        case .permissions(let permissions, let vmsa, let size):
            "\(Self.text(of: permissions)) \(size)\(vmsa ? " vmsa" : "")"
        case .msr(let value): "0x\(String(value, radix: 16))"
        case .response(let info1, let info2):
            "info1=0x\(String(info1, radix: 16)) info2=0x\(String(info2, radix: 16))"
        case .mismatch: "mismatch"
        case .noGHCB: "no GHCB was chosen"
        }
    }

    static func text(of permissions: VMPLPermissions) -> String {
        let letters = ScriptLine.rights.filter { permissions.contains($0.permission) }.map(\.letter)
        return letters.isEmpty ? "-" : String(letters)
    }
}
