package dev.stepd.device;

import java.lang.foreign.MemorySegment;

/// A device's side of what comes with steps: one body at a time, which lies in main memory and which plans read and write from
/// where they compute. Not for several threads, but as [#arrived] says. A new one holds nothing, which does for plans that use
/// nothing of a body.
public interface Body extends AutoCloseable {
    /// The next runs are about what lies in `host`; what was fetched before is forgotten. Memory of [Device#host] is fastest.
    ///
    /// @param host at least the bytes this was made for; stays the caller's, who keeps it until the last of these runs and changes
    ///     nothing there between two of them that a plan reads
    void hold(MemorySegment host);

    /// Tells that all bytes of what is held have arrived that lie before `end`: a device may begin to fetch them while the next
    /// arrive. Not saying so is no mistake, a run takes everything for arrived. May be called from another thread than [#hold],
    /// but never at the same time as anything else here or a run.
    void arrived(long end);

    @Override
    void close();
}
