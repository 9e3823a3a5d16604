package dev.stepd.session;

import dev.stepd.engine.StatePart;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Part;
import dev.stepd.tensor.SafetensorsHeader;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The arrays a body may bring, and where each lies in a flat stretch of memory that holds them all end to end. Safe
/// for concurrent use.
final class Expected {
    /// @param index bit of the array in [Match#present] or [Match#extras]
    /// @param offset first byte in the flat memory
    record Place(String key, DType dtype, Shape shape, int index, long offset) {
        long byteCount() {
            return shape.elementCount() * dtype.bytes();
        }

        MemorySegment in(MemorySegment flat) {
            return flat.asSlice(offset, byteCount());
        }
    }

    /// A header that fits.
    ///
    /// @param places where each entry of the header goes
    /// @param present the arrays the header has; never changed
    /// @param extras the further arrays it has; never changed
    /// @param missing how many arrays it lacks
    /// @param firstMissing one of them, or empty
    record Match(
            SafetensorsHeader header,
            List<Place> places,
            BitSet present,
            BitSet extras,
            int missing,
            String firstMissing) {}

    private final String noun;
    private final List<Place> places;
    private final Map<String, Place> byKey;
    private final Map<String, Place> extraByKey;
    private final String extraNames;
    private final boolean narrowAllowed;
    private final long byteCount;
    private final long byteCountWithExtras;
    private volatile @Nullable Match last;

    /// @param noun what one array is called in messages: `gradient`
    /// @param places end to end in the order of their offsets
    /// @param narrowAllowed whether F16 and BF16 may come for F32
    Expected(String noun, List<Place> places, boolean narrowAllowed) {
        this(noun, places, narrowAllowed, List.of(), "");
    }

    /// @param extras arrays that may come besides, behind the others in memory, called inputs in messages
    /// @param extraNames what their keys look like, for messages
    Expected(String noun, List<Place> places, boolean narrowAllowed, List<Place> extras, String extraNames) {
        this.noun = noun;
        this.places = List.copyOf(places);
        this.narrowAllowed = narrowAllowed;
        this.byKey = HashMap.newHashMap(places.size());
        places.forEach(place -> byKey.put(place.key(), place));
        this.extraNames = extraNames;
        this.extraByKey = HashMap.newHashMap(extras.size());
        extras.forEach(place -> extraByKey.put(place.key(), place));
        this.byteCount = places.stream().mapToLong(Place::byteCount).sum();
        this.byteCountWithExtras = byteCount + extras.stream().mapToLong(Place::byteCount).sum();
    }

    /// Arrays like these parts, in their order.
    static Expected like(String noun, List<StatePart> parts) {
        return of(noun, parts.stream().map(part -> new TensorSpec(part.key(), part.shape(), part.dtype())).toList());
    }

    /// Arrays of these names, shapes and types, in their order.
    static Expected of(String noun, List<TensorSpec> specs) {
        var places = new ArrayList<Place>(specs.size());
        long offset = 0;
        for (var spec : specs) {
            var place = new Place(spec.name(), spec.dtype(), spec.shape(), places.size(), offset);
            places.add(place);
            offset = Math.addExact(offset, place.byteCount());
        }
        return new Expected(noun, places, false);
    }

    /// Bytes of the flat memory, that of further arrays not counted.
    long byteCount() {
        return byteCount;
    }

    /// The most bytes of data a body can have, as declared.
    long byteCountWithExtras() {
        return byteCountWithExtras;
    }

    List<Place> places() {
        return places;
    }

    /// The flat memory as parts.
    List<Part> parts(MemorySegment flat) {
        return places.stream().map(p -> new Part(p.key(), p.dtype(), p.shape(), p.in(flat))).toList();
    }

    /// The header of the flat memory sent as it lies.
    SafetensorsHeader header() {
        var entries = places.stream()
                .map(p -> new SafetensorsHeader.Entry(p.key(), p.dtype(), p.shape(), p.offset(), p.offset() + p.byteCount()))
                .toList();
        return new SafetensorsHeader(entries, Map.of());
    }

    /// Fits a header to the arrays; the same header again costs nothing.
    ///
    /// @throws ServiceException `UNKNOWN_NAME`, `INVALID_VALUE`
    Match match(SafetensorsHeader header) {
        var before = last;
        if (before != null && before.header() == header) {
            return before;
        }
        var found = new ArrayList<Place>(header.entries().size());
        var present = new BitSet(places.size());
        var extras = new BitSet();
        for (var entry : header.entries()) {
            var place = byKey.get(entry.key());
            if (place != null) {
                check(noun, entry, place);
                present.set(place.index());
            } else {
                place = extra(entry);
                extras.set(place.index());
            }
            found.add(place);
        }
        var missing = places.stream().filter(place -> !present.get(place.index())).map(Place::key).findFirst();
        var match = new Match(header, List.copyOf(found), present, extras,
                places.size() - present.cardinality(), missing.orElse(""));
        last = match;
        return match;
    }

    /// Refuses a match that lacks arrays.
    ///
    /// @param remedy what the client may do about it
    void requireAll(Match match, String remedy) {
        if (match.missing() > 0) {
            throw new ServiceException(ErrorCode.INVALID_VALUE, noun + " " + match.firstMissing() + " is missing, "
                    + match.missing() + " of " + places.size() + " are" + remedy);
        }
    }

    /// Where a matched body's entries go.
    List<Part> destinations(Match match, MemorySegment flat) {
        var parts = new ArrayList<Part>(match.places().size());
        for (var place : match.places()) {
            parts.add(new Part(place.key(), place.dtype(), place.shape(), place.in(flat)));
        }
        return parts;
    }

    private Place extra(SafetensorsHeader.Entry entry) {
        var place = extraByKey.get(entry.key());
        if (place == null) {
            throw unknown(entry.key());
        }
        check("input", entry, place);
        return place;
    }

    private void check(String noun, SafetensorsHeader.Entry entry, Place place) {
        boolean narrow = narrowAllowed && place.dtype() == DType.F32
                && (entry.dtype() == DType.F16 || entry.dtype() == DType.BF16);
        if (entry.dtype() != place.dtype() && !narrow) {
            throw new ServiceException(ErrorCode.INVALID_VALUE, noun + " " + entry.key() + " has dtype " + entry.dtype()
                    + ", expected " + place.dtype() + (narrowAllowed ? ", F16 or BF16" : ""));
        }
        boolean one = place.key().startsWith("#") && place.shape().elementCount() == 1;
        if (one ? entry.shape().elementCount() != 1 : !entry.shape().equals(place.shape())) {
            throw new ServiceException(ErrorCode.INVALID_VALUE, noun + " " + entry.key() + " has shape " + entry.shape()
                    + ", expected " + (one ? "one element, [] or [1]" : place.shape()));
        }
    }

    private ServiceException unknown(String key) {
        var known = new ArrayList<>(byKey.keySet());
        known.addAll(extraByKey.keySet());
        boolean named = key.indexOf('#') >= 0;
        if (named && !extraByKey.isEmpty()) {
            return new ServiceException(ErrorCode.UNKNOWN_NAME, "unknown input " + shown(key) + Nearest.hint(key, known)
                    + "; this session's optimizer takes " + extraNames);
        }
        if (named && known.stream().noneMatch(name -> name.indexOf('#') >= 0)) {
            return new ServiceException(ErrorCode.UNKNOWN_NAME,
                    "unknown input " + shown(key) + ": this session's optimizer takes no input but gradients");
        }
        return new ServiceException(ErrorCode.UNKNOWN_NAME, "unknown " + noun + " " + shown(key) + Nearest.hint(key, known));
    }

    private static String shown(String key) {
        return key.length() > 80 ? key.substring(0, 80) + "..." : key;
    }
}
