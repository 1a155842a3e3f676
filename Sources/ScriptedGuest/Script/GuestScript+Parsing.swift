// The text of a script: one step a line, "#" begins a comment. GPA and other numbers are decimal, or hexadecimal with 0x.
//
//     touch GPA [xN] private|shared read|write|execute         an access to N pages of 4 KiB
//     read GPA private|shared BYTES                            BYTES: hexadecimal, or "text" without spaces
//     write GPA private|shared BYTES
//     pvalidate GPA [xN] 4K|2M validate|rescind
//     rmpadjust GPA 4K|2M vmpl1|vmpl2|vmpl3 RIGHTS [vmsa]      RIGHTS: of r, w, u, s, h those that are given, or -
//     rmpquery GPA vmpl0|…|vmpl3
//     msr VALUE                                                GHCB MSR protocol
//     ghcb GPA                                                 the page for what follows
//     vmgexit EVENT [FIELD=VALUE …] [buffer=BYTES] [usage=N] [version=N]
//     psc GPA [xN] 4K|2M private|shared|smash|unsmash          page state change
//     start-ap APIC GPA [vmpl1|vmpl2|vmpl3]                    VMSA, RMPADJUST and AP creation
//     stop-ap APIC GPA
//     report SECRETS REQUEST RESPONSE [vmpck=N] [vmpl=N] [data=BYTES]      three GPAs; the last two are shared pages
//     terminate SET REASON
//     pause, halt, shutdown
//
// A line may end in "-> WHAT", what the step must come to; without it the step must succeed:
//     ok, any, unchanged (CF = 1), FAIL_… (EAX), vc:NAME or vc:0x… (#VC), mismatch
//     rmpquery: RIGHTS 4K|2M [vmsa]     msr: VALUE     psc, report: info1=N info2=N     vmgexit: FIELD=VALUE … [buffer=BYTES]

internal import Machine
internal import SNPArchitecture

extension GuestScript {
    /// Reads a script from its text.
    ///
    /// - Throws: the first line that is not a step, and why
    public init(text: String) throws(ScriptError) {
        self.init()
        // A carriage return and a line feed are one character.
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            guard var line = ScriptLine(line, number: index + 1) else { continue }
            try append(&line)
        }
    }

    private mutating func append(_ line: inout ScriptLine) throws(ScriptError) {
        switch try line.next("the step") {
        case "touch":
            let (gpa, count, cBit) = (try line.gpa(), try line.count(), try line.cBit())
            let kind = try line.choice(
                "the access", ["read": AccessKind.read, "write": .write, "execute": .execute])
            try step(.touch(gpa, cBit, kind, count: count), &line)
        case "read":
            let (gpa, cBit, bytes) = (try line.gpa(), try line.cBit(), try line.contents())
            let expectation = try line.expectedOutcome()
            try add(line, expectation) { (script) throws(ScriptProblem) in try script.read(gpa, cBit, bytes) }
        case "write":
            let (gpa, cBit, bytes) = (try line.gpa(), try line.cBit(), try line.contents())
            let expectation = try line.expectedOutcome()
            try add(line, expectation) { (script) throws(ScriptProblem) in try script.write(gpa, cBit, bytes) }
        case "pvalidate":
            let (gpa, count, size) = (try line.gpa(), try line.count(), try line.size())
            let validation = try line.choice(
                "the state", ["validate": Validation.validate, "rescind": .rescind])
            try step(.pvalidate(gpa, size, validation, count: count), &line)
        case "rmpadjust":
            let (gpa, size, target) = (try line.gpa(), try line.size(), try line.vmpl())
            let (permissions, vmsa) = (try line.permissions(), line.take("vmsa"))
            try step(.rmpAdjust(gpa, size, target: target, permissions, vmsa: vmsa), &line)
        case "rmpquery":
            let (gpa, target) = (try line.gpa(), try line.vmpl())
            let expectation = try line.expectedPermissions()
            try add(line, nil) { (script) throws(ScriptProblem) in
                try script.rmpQuery(gpa, target: target, expecting: expectation)
            }
        case "ghcb": try step(.useGHCB(try line.gpa()), &line)
        case "pause": try step(.pause, &line)
        case "halt": try step(.halt, &line)
        case "shutdown": try step(.shutdown, &line)
        case let word: try append(request: word, &line)
        }
    }

    /// Steps that ask the host.
    private mutating func append(request word: Substring, _ line: inout ScriptLine) throws(ScriptError) {
        switch word {
        case "msr":
            let request = try line.number("the request")
            let response = try line.expectedMSR()
            try add(line, response) { (script) throws(ScriptProblem) in try script.msr(request, expecting: nil) }
        case "vmgexit":
            let call = try line.call()
            try add(line, nil) { (script) throws(ScriptProblem) in try script.vmgexit(call) }
        case "psc":
            let (gpa, count, size) = (try line.gpa(), try line.count(), try line.size())
            let operation = try line.choice(
                "the page state",
                [
                    "private": PageStateOperation.makePrivate, "shared": .makeShared, "smash": .smash,
                    "unsmash": .unsmash,
                ])
            let expectation = try line.expectedResponse()
            try add(line, expectation) { (script) throws(ScriptProblem) in
                try script.changePageStates(gpa, count: count, size, to: operation)
            }
        case "start-ap":
            let (apic, gpa) = (try line.number("the APIC identifier", as: UInt32.self), try line.gpa())
            let vmpl = line.peek == nil ? VMPL.vmpl0 : try line.vmpl()
            try line.endWithoutExpectation()
            try add(line, nil) { (script) throws(ScriptProblem) in
                try script.startAP(apicID: apic, vmsa: .scripted(vmpl: vmpl), at: gpa)
            }
        case "stop-ap":
            let (apic, gpa) = (try line.number("the APIC identifier", as: UInt32.self), try line.gpa())
            try line.endWithoutExpectation()
            try add(line, nil) { (script) throws(ScriptProblem) in try script.stopAP(apicID: apic, vmsaAt: gpa) }
        case "report":
            let request = try line.report()
            let expectation = try line.expectedResponse()
            try add(line, expectation) { (script) throws(ScriptProblem) in try script.report(request) }
        case "terminate":
            let set = try line.number("the reason set", as: UInt8.self)
            let reason = try line.number("the reason", as: UInt8.self)
            try line.endWithoutExpectation()
            try add(line, nil) { (script) throws(ScriptProblem) in try script.terminate(set: set, reason: reason) }
        case _: throw line.error("\"\(word)\" is no step")
        }
    }

    /// Adds a step with the outcome that its line expects.
    private mutating func step(_ operation: GuestOperation, _ line: inout ScriptLine) throws(ScriptError) {
        let expectation = try line.expectedOutcome()
        try add(line, nil) { (script) throws(ScriptProblem) in
            try script.append(GuestStep(operation, expectation))
        }
    }

    /// Adds what `body` adds; an expectation replaces that of the last step.
    private mutating func add(
        _ line: ScriptLine, _ expectation: StepExpectation?, _ body: (inout GuestScript) throws(ScriptProblem) -> Void
    ) throws(ScriptError) {
        do throws(ScriptProblem) { try body(&self) } catch { throw line.error(error.description) }
        if let expectation { expect(expectation) }
    }
}
