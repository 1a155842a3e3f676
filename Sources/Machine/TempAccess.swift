public import SNPArchitecture
extension Machine {
  public func hostWrite(_ bytes: [UInt8], at spa: SPA, through table: PageTable) throws(HostPageFault) { memory.store(bytes, at: spa) }
  public func hostClear(_ pfn: PFN, through table: PageTable) throws(HostPageFault) { memory.zero(pfn) }
}
public final class NestedTLB { public init() {}; public func flush(_ asid: ASID) {} }
