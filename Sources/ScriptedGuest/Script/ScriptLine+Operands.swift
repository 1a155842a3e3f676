// The operands and expectations that a line can have, in the words of GuestScript+Parsing.

internal import Machine
internal import SNPArchitecture

extension ScriptLine {
    mutating func cBit() throws(ScriptError) -> CBit {
        try choice("the C-bit", ["private": CBit.private, "shared": .shared])
    }

    mutating func size() throws(ScriptError) -> PageSize {
        try choice("the page size", ["4K": PageSize.size4K, "2M": .size2M])
    }

    mutating func vmpl() throws(ScriptError) -> VMPL {
        try choice("the VMPL", ["vmpl0": VMPL.vmpl0, "vmpl1": .vmpl1, "vmpl2": .vmpl2, "vmpl3": .vmpl3])
    }

    mutating func contents() throws(ScriptError) -> [UInt8] { try bytes(next("the contents")) }

    mutating func permissions() throws(ScriptError) -> VMPLPermissions { try permissions(next("the rights")) }

    func permissions(_ word: Substring) throws(ScriptError) -> VMPLPermissions {
        var result: VMPLPermissions = []
        for letter in word where letter != "-" {
            guard let right = Self.rights.first(where: { $0.letter == letter }) else {
                throw error("the rights are \"\(word)\"; write some of r, w, u, s, h, or -")
            }
            result.formUnion(right.permission)
        }
        return result
    }

    /// The letters of rights, in the order in which they are printed.
    static let rights: [(letter: Character, permission: VMPLPermissions)] = [
        ("r", .read), ("w", .write), ("u", .executeUser), ("s", .executeSupervisor), ("h", .supervisorShadowStack),
    ]

    /// - Throws: a word too many, or an expectation where none can be
    func endWithoutExpectation() throws(ScriptError) {
        try end()
        guard expectation == nil else { throw error("the step takes no \"->\"") }
    }

    /// The expectation's words, or nil without one. The words before must all be taken.
    private func expected(atMost limit: Int) throws(ScriptError) -> [Substring]? {
        try end()
        guard let words = expectation else { return nil }
        guard !words.isEmpty else { throw error("nothing follows \"->\"") }
        guard words.count <= limit else { throw error("\"\(words[limit])\" is one word too many") }
        return words
    }

    /// What most steps can come to.
    func expectedOutcome() throws(ScriptError) -> StepExpectation {
        guard let words = try expected(atMost: 1) else { return .outcome(.done) }
        return try outcome(words[0])
    }

    private func outcome(_ word: Substring) throws(ScriptError) -> StepExpectation {
        switch word {
        case "ok": return .outcome(.done)
        case "any": return .anything
        case "unchanged": return .outcome(.unchanged)
        case "mismatch": return .outcome(.mismatch)
        case _ where word.hasPrefix("vc:"): return .outcome(.exception(try exitCode(word.dropFirst(3))))
        case _:
            guard let status = RMPStatus.allCases.first(where: { $0.name == word }) else {
                throw error("\"\(word)\" is no outcome")
            }
            return .outcome(.status(status))
        }
    }

    /// Rights, size and "vmsa", or what most steps can come to.
    func expectedPermissions() throws(ScriptError) -> StepExpectation {
        guard let words = try expected(atMost: 3) else { return .anything }
        guard words.count > 1 else { return try outcome(words[0]) }
        guard let size = PageSize.allCases.first(where: { $0.description == words[1] }) else {
            throw error("the page size is \"\(words[1])\"; it is one of 4K, 2M")
        }
        if words.count == 3, words[2] != "vmsa" { throw error("\"\(words[2])\" is not \"vmsa\"") }
        return .outcome(.permissions(try permissions(words[0]), vmsa: words.count == 3, size))
    }

    /// The MSR's value.
    func expectedMSR() throws(ScriptError) -> StepExpectation {
        guard let words = try expected(atMost: 1) else { return .anything }
        return words[0] == "any" ? .anything : .outcome(.msr(try number(words[0], "the response")))
    }

    /// Both result fields, or what most steps can come to.
    func expectedResponse() throws(ScriptError) -> StepExpectation {
        guard let words = try expected(atMost: 2) else { return .outcome(.done) }
        guard words.count == 2 else { return try outcome(words[0]) }
        let values = try fields(words)
        guard values.count == 2, values[0].field == .exitInfo1, values[1].field == .exitInfo2 else {
            throw error("a response is info1=N info2=N")
        }
        return .outcome(.response(info1: values[0].value, info2: values[1].value))
    }

    /// An exit code by its name or number.
    func exitCode(_ word: Substring) throws(ScriptError) -> ExitCode {
        if let found = ExitCode.named.first(where: { $0.name == word }) { return found.code }
        return ExitCode(try number(word, "the exit code"))
    }

    /// The words of an event of the page protocol.
    mutating func call() throws(ScriptError) -> GHCBCall {
        var call = GHCBCall(try exitCode(next("the event")))
        while let word = peek {
            _ = take(String(word))
            let (name, value) = try pair(word)
            switch name {
            case "buffer": call.buffer = try bytes(value)
            case "usage": call.usage = UInt32(truncatingIfNeeded: try number(value, "the usage"))
            case "version": call.version = UInt16(truncatingIfNeeded: try number(value, "the version"))
            case _:
                let field = try field(name)
                call.inputs.removeAll { $0.field == field }
                // "none" leaves the field's valid bit clear.
                if value != "none" { call.inputs.append(GHCBFieldValue(field, try number(value, String(name)))) }
            }
        }
        guard let words = try expected(atMost: 64) else { return call }
        call.outputs = []
        guard words != ["any"] else { return call }
        for word in words {
            let (name, value) = try pair(word)
            if name == "buffer" { call.expectedBuffer = try bytes(value) } else { call.outputs += try fields([word]) }
        }
        return call
    }

    /// The words of a request for a report.
    mutating func report() throws(ScriptError) -> ReportStep {
        var step = ReportStep(secrets: try gpa(), request: try gpa(), response: try gpa())
        while let word = peek {
            _ = take(String(word))
            let (name, value) = try pair(word)
            switch name {
            case "vmpck": step.vmpck = UInt8(clamping: try number(value, "the VMPCK"))
            case "vmpl": step.vmpl = UInt32(clamping: try number(value, "the VMPL"))
            case "data": step.data = try bytes(value)
            case _: throw error("\"\(name)\" is none of vmpck, vmpl, data")
            }
        }
        return step
    }

    private func fields(_ words: [Substring]) throws(ScriptError) -> [GHCBFieldValue] {
        var result: [GHCBFieldValue] = []
        for word in words {
            let (name, value) = try pair(word)
            result.append(GHCBFieldValue(try field(name), try number(value, String(name))))
        }
        return result
    }

    private func pair(_ word: Substring) throws(ScriptError) -> (Substring, Substring) {
        guard let equals = word.firstIndex(of: "=") else { throw error("\"\(word)\" is not NAME=VALUE") }
        return (word[..<equals], word[word.index(after: equals)...])
    }

    private func field(_ name: Substring) throws(ScriptError) -> GHCBField {
        if name == "info1" { return .exitInfo1 }
        if name == "info2" { return .exitInfo2 }
        if name == "code" { return .exitCode }
        guard let field = GHCBField.allCases.first(where: { "\($0)" == name }) else {
            throw error("\"\(name)\" is no field of a GHCB")
        }
        return field
    }
}
