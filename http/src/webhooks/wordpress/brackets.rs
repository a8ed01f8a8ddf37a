//! PHP's bracket keys: `fields[phone][value]=027` is a tree, `tags[]=a` a list.

use serde_json::{Map, Value};

/// How many pairs are read; PHP itself stops at a thousand.
const MAX_PAIRS: usize = 1000;
/// How deep a key may nest; a deeper one is taken as it is written.
const MAX_DEPTH: usize = 8;

/// Builds the tree of a form's decoded pairs. A name that comes twice becomes a list, so that nothing is lost.
pub(super) fn tree(pairs: impl IntoIterator<Item = (String, String)>) -> Map<String, Value> {
    let mut root = Map::new();
    for (key, value) in pairs.into_iter().take(MAX_PAIRS) {
        insert(&mut root, &path(&key), Value::String(value));
    }
    root.into_iter().map(|(key, value)| (key, listed(value))).collect()
}

/// `a[b][]` is `a`, `b` and an empty segment. What is not quite so written is one plain name.
fn path(key: &str) -> Vec<&str> {
    let Some((name, brackets)) = key.split_once('[') else { return vec![key] };
    let Some(inner) = brackets.strip_suffix(']').filter(|_| !name.is_empty()) else { return vec![key] };
    let segments: Vec<&str> = std::iter::once(name).chain(inner.split("][")).collect();
    let is_odd = segments.iter().any(|segment| segment.contains(['[', ']']));
    if is_odd || segments.len() > MAX_DEPTH { vec![key] } else { segments }
}

fn insert(branch: &mut Map<String, Value>, path: &[&str], value: Value) {
    let Some((segment, rest)) = path.split_first() else { return };
    let name = if segment.is_empty() { next_index(branch) } else { (*segment).to_owned() };
    if rest.is_empty() {
        match branch.get_mut(&name) {
            None => drop(branch.insert(name, value)),
            Some(Value::Array(values)) => values.push(value),
            Some(Value::Object(members)) => insert(members, &[""], value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
        return;
    }
    let child = branch.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if !child.is_object() {
        let before = child.take(); // `a=1&a[b]=2`: the plain value stays, as the branch's first member
        *child = Value::Object(Map::from_iter([("0".to_owned(), before)]));
    }
    if let Value::Object(members) = child {
        insert(members, rest, value);
    }
}

fn next_index(branch: &Map<String, Value>) -> String {
    let free =
        (branch.len()..=2 * branch.len()).map(|index| index.to_string()).find(|index| !branch.contains_key(index));
    free.unwrap_or_default()
}

/// Turns branches whose names are `0, 1, 2, …` into lists.
fn listed(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let mut members: Map<String, Value> = members.into_iter().map(|(key, member)| (key, listed(member))).collect();
    let is_list = !members.is_empty() && (0..members.len()).all(|index| members.contains_key(&index.to_string()));
    if !is_list {
        return Value::Object(members);
    }
    (0..members.len()).filter_map(|index| members.remove(&index.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn built(pairs: &[(&str, &str)]) -> Value {
        Value::Object(tree(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))))
    }

    #[test]
    fn brackets_become_branches_and_lists() {
        let built = built(&[
            ("form[id]", "7ab"),
            ("fields[phone][value]", "027"),
            ("fields[phone][type]", "tel"),
            ("tags[]", "a"),
            ("tags[]", "b"),
            ("rows[0][x]", "1"),
            ("rows[1][x]", "2"),
            ("plain", "z"),
        ]);
        let expected = json!({"form": {"id": "7ab"}, "fields": {"phone": {"value": "027", "type": "tel"}},
            "tags": ["a", "b"], "rows": [{"x": "1"}, {"x": "2"}], "plain": "z"});
        assert_eq!(built, expected);
    }

    #[test]
    fn a_repeated_name_loses_nothing() {
        assert_eq!(built(&[("a", "1"), ("a", "2"), ("a", "3")]), json!({"a": ["1", "2", "3"]}));
        assert_eq!(built(&[("a", "1"), ("a[b]", "2")]), json!({"a": {"0": "1", "b": "2"}}));
        assert_eq!(built(&[("a[b]", "2"), ("a", "1")]), json!({"a": {"b": "2", "1": "1"}}));
    }

    #[test]
    fn odd_brackets_are_part_of_the_name() {
        for odd in ["[x]", "a[b", "a]b", "a[b]c", "a[[b]]", "Tick [x] here"] {
            assert_eq!(built(&[(odd, "1")]), json!({odd: "1"}));
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = format!("a{}", "[b]".repeat(50));
        assert_eq!(built(&[(&deep, "1")]), json!({deep: "1"}));
        let many = tree((0..5000).map(|n| (format!("k{n}"), String::new())));
        assert_eq!(many.len(), MAX_PAIRS);
    }
}
