// What `rampart measure` prints.

import Monitor
import Rampart
import SNPArchitecture

extension MeasureCommand {
    /// Writes the VMSAs if asked to, and renders the digest, what it is made of, or in what it differs.
    func outcome(_ result: MeasureResult) throws -> CommandOutcome {
        if dumpVmsa && mode == .snp {
            for index in 0..<result.plan.vcpuCount {
                do throws(FileError) {
                    try writeFile("vmsa\(index).bin", result.plan.vmsa(index).bytes)
                } catch {
                    throw InputError(error.description)
                }
            }
        }
        let format = mode == .imageHash ? .hex : outputFormat
        let digest = format.text(result.digest)
        let differences = try diff.map { try comparison(of: result, with: $0) }
        let status: CommandStatus = differences?.isEmpty == false ? .violation : .good
        if json {
            var members = result.members(mode, digest, vmmType)
            if explain, let explanation = result.explanation { members.append(("measured", explanation.json)) }
            if let differences { members.append(("differences", .array(differences.map(\.json)))) }
            return CommandOutcome(output: JSON.object(members).indented() + "\n", status: status)
        }
        if let differences {
            let lines = differences.isEmpty ? ["both launches have the same pages"] : differences.map(\.description)
            return CommandOutcome(output: lines.joined(separator: "\n") + "\n", status: status)
        }
        if let explanation = result.explanation { return CommandOutcome(output: explanation.text) }
        let prefix = verbose && mode == .snp ? "Calculated SEV_SNP guest measurement: " : ""
        return CommandOutcome(output: prefix + digest + "\n")
    }

    /// In what a launch differs from one that was explained before.
    ///
    /// - Throws: `InputError` for a file that cannot be read or is no explanation
    private func comparison(of result: MeasureResult, with path: String) throws(InputError) -> [LaunchDifference] {
        let bytes: [UInt8]
        do throws(FileError) { bytes = try readFile(path, limit: 256 << 20) } catch {
            throw InputError(error.description)
        }
        let former = try explainedPages(reading: String(decoding: bytes, as: UTF8.self), from: path)
        return compareLaunches(former, result.explanation?.pages ?? [])
    }
}

extension MeasureResult {
    fileprivate func members(_ mode: MeasureMode, _ digest: String, _ vmm: VMMType) -> [(String, JSON)] {
        var pages: [(String, JSON)] = LaunchPlan.PageKind.allCases.compactMap { kind in
            let count = plan.steps.filter { $0.kind == kind }.reduce(0) { $0 + $1.pageCount }
            return count == 0 ? nil : ("\(kind)", .unsigned(count))
        }
        if plan.vcpuCount > 0 { pages.append(("vmsa", .integer(plan.vcpuCount))) }
        var members: [(String, JSON)] = [("digest", .string(digest)), ("mode", .string(mode.rawValue))]
        if mode == .snp { members += [("vmm", .string(vmm.name)), ("vcpus", .integer(plan.vcpuCount))] }
        return members + [("imageBytes", .integer(plan.image?.bytes.count ?? 0)), ("pages", .object(pages))]
    }
}
