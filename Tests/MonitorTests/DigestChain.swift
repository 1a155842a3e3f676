import Crypto
import Monitor
import SNPArchitecture

/// The launch digest of a plan by the rule alone: SHA-384 over PAGE_INFO for each page. Tests only; the product takes
/// the digest from a launch that it has run.
func digestChain(_ plan: LaunchPlan) -> [UInt8] {
    var digest = plan.initialDigest ?? [UInt8](repeating: 0, count: 48)
    func extend(_ type: UInt8, _ gpa: UInt64, _ contents: [UInt8]?) {
        var info = digest
        info += contents.map { Array(SHA384.hash(data: $0)) } ?? [UInt8](repeating: 0, count: 48)
        info += [0x70, 0, type, 0, 0, 0, 0, 0]
        for shift in 0..<8 { info.append(UInt8(truncatingIfNeeded: gpa >> UInt64(shift * 8))) }
        digest = Array(SHA384.hash(data: info))
    }
    for step in plan.steps {
        for index in 0..<step.pageCount {
            extend(step.kind.rawValue, (step.gfn + index).address.rawValue, plan.page(index, of: step))
        }
    }
    for index in 0..<plan.vcpuCount { extend(2, 0xffff_ffff_f000, plan.vmsa(index).bytes) }
    return digest
}

func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
