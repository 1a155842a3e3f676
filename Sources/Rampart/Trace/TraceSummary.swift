// A trace in a screenful: what happened how often, and a picture of page states over time.

extension TraceFile {
    /// The summary, of the events that a filter allows. The picture is of all events.
    public func summary(_ filter: TraceFilter = TraceFilter()) -> String {
        let allowed = events.filter(filter.allows)
        var lines: [String] = []
        if let run = events.first {
            lines.append("run      " + run.fields.map { "\($0.name) \($0.value)" }.joined(separator: ", "))
        }
        if let end = events.last { lines.append("ended    " + (end["ending"] ?? "")) }
        lines.append("events   \(allowed.count) of \(events.count), until tick \(events.last?.time ?? 0)")
        lines += Self.table("events by kind", allowed.map(\.name))
        lines += Self.table("exits", allowed.filter { $0.name == "exit" }.compactMap { $0["reason"] })
        lines += Self.table("VMGEXIT", allowed.filter { $0.name == "vmgexit" }.compactMap { $0["code"] })
        lines += Self.table(
            "RMP instructions",
            allowed.filter { ["rmpupdate", "psmash", "pvalidate", "rmpadjust"].contains($0.name) }.map {
                "\($0.name) \($0["status"] ?? "")"
            })
        lines += Self.table(
            "firmware commands",
            allowed.filter { $0.name == "firmware" }.map { "\($0["command"] ?? "") \($0["status"] ?? "")" })
        lines.append("pages of the guest over the run (# validated, + owned and not validated)")
        let moments = pages(at: 24)
        let most = max(moments.map(\.pages.assigned).max() ?? 0, 1)
        for moment in moments {
            let validated = Int(moment.pages.validated.multipliedReportingOverflow(by: 48).partialValue / most)
            let all = Int(moment.pages.assigned.multipliedReportingOverflow(by: 48).partialValue / most)
            let time = String(moment.time)
            lines.append(
                "  " + String(repeating: " ", count: max(0, 14 - time.utf8.count)) + time + " "
                    + String(repeating: "#", count: max(0, min(validated, 48)))
                    + String(repeating: "+", count: max(0, min(all - validated, 48)))
                    + " \(moment.pages.validated)/\(moment.pages.assigned)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func table(_ title: String, _ names: [String]) -> [String] {
        guard !names.isEmpty else { return [] }
        var counts: [String: Int] = [:]
        for name in names { counts[name, default: 0] += 1 }
        let rows = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return [title]
            + rows.map {
                "  \(String(repeating: " ", count: max(0, 8 - String($0.value).utf8.count)))\($0.value)  \($0.key)"
            }
    }
}
