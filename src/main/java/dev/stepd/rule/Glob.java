package dev.stepd.rule;

import java.util.ArrayList;
import java.util.List;

/// A pattern for tensor names: `*` is any characters, `?` one, `[abc]` or `[a-z]` one of them, `[!abc]` none of them;
/// anything else is itself, so `[*]` is a star. A `]` right after the opening is a member.
///
/// Matching takes at most pattern times name, whatever the pattern: patterns come with requests.
public record Glob(String text, List<Part> parts) {
    /// What a stretch of the pattern stands for.
    sealed interface Part {
        /// Any characters.
        record Star() implements Part {}

        /// One of the characters, of a range `a-z` any; with `negated`, one that is none of them.
        record One(List<Integer> members, boolean negated) implements Part {
            public One {
                members = List.copyOf(members);
            }

            boolean matches(int character) {
                boolean member = false;
                for (int i = 0; i < members.size(); i++) {
                    if (i + 2 < members.size() && members.get(i + 1) == '-') {
                        member |= members.get(i) <= character && character <= members.get(i + 2);
                        i += 2;
                    } else {
                        member |= members.get(i) == character;
                    }
                }
                return member != negated;
            }
        }
    }

    public Glob {
        parts = List.copyOf(parts);
    }

    public static Glob of(String text) {
        var characters = text.codePoints().boxed().toList();
        var parts = new ArrayList<Part>();
        for (int i = 0; i < characters.size(); i++) {
            int end = characters.get(i) == '[' ? end(characters, i) : -1;
            if (end > 0) {
                boolean negated = characters.get(i + 1) == '!';
                parts.add(new Part.One(characters.subList(i + (negated ? 2 : 1), end), negated));
                i = end;
            } else {
                parts.add(part(characters.get(i)));
            }
        }
        return new Glob(text, parts);
    }

    private static Part part(int character) {
        if (character == '*') {
            return new Part.Star();
        }
        return character == '?' ? new Part.One(List.of(), true) : new Part.One(List.of(character), false);
    }

    /// Where the set that begins at `start` closes, or -1.
    private static int end(List<Integer> characters, int start) {
        int first = start + 1;
        if (first < characters.size() && characters.get(first) == '!') {
            first++;
        }
        for (int i = first + 1; i < characters.size(); i++) {
            if (characters.get(i) == ']') {
                return i;
            }
        }
        return -1;
    }

    /// Goes on after the last star with one character more whenever the rest does not fit.
    public boolean matches(String name) {
        var characters = name.codePoints().toArray();
        int part = 0;
        int at = 0;
        int star = -1;
        int resume = 0;
        while (at < characters.length) {
            if (part < parts.size() && parts.get(part) instanceof Part.Star) {
                star = part++;
                resume = at;
            } else if (part < parts.size() && parts.get(part) instanceof Part.One one && one.matches(characters[at])) {
                part++;
                at++;
            } else if (star >= 0) {
                part = star + 1;
                at = ++resume;
            } else {
                return false;
            }
        }
        return parts.subList(part, parts.size()).stream().allMatch(Part.Star.class::isInstance);
    }
}
