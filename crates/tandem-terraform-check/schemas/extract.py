#!/usr/bin/env python3
"""Recover a Terraform provider schema from a @cdktf/provider-* npm tarball.

    extract.py PACKAGE.tgz OUT.json [TYPES.txt]

Run by scripts/terraform-schemas; facts are taken from the package (names, types, flags), no text and no code.

The generated TypeScript sits in the inline source map of every lib/<module>/index.js. It still tells, for
each attribute, whether it is required, optional or computed, its type, and whether it is a block. OUT.json
has the shape of `terraform providers schema -json` for one provider, minus what code generation throws
away. TYPES.txt (names separated by white space) keeps only the types that a project uses.
"""
import base64
import collections
import hashlib
import json
import re
import sys
import tarfile

PRIMITIVE = {'string': 'string', 'number': 'number', 'boolean': 'bool', 'any': 'dynamic'}
COLLECTION = (('List', 'list'), ('Set', 'set'), ('Map', 'map'))
GETTER = {  # how a read-only attribute is fetched tells its type; first match wins
    'tolist(this.getListAttribute': ['set', 'string'], 'tolist(this.getNumberListAttribute': ['set', 'number'],
    'getListAttribute': ['list', 'string'], 'getNumberListAttribute': ['list', 'number'],
    'getStringMapAttribute': ['map', 'string'], 'getNumberMapAttribute': ['map', 'number'],
    'getBooleanMapAttribute': ['map', 'bool'], 'getStringAttribute': 'string', 'getNumberAttribute': 'number',
    'getBooleanAttribute': 'bool', 'getAnyMapAttribute': ['map', 'dynamic'], 'interpolationForAttribute': 'dynamic',
}

CLASS = re.compile(r'^export class (\w+) extends cdktf\.(\w+) \{\n(.*?)^\}', re.M | re.S)
INTERFACE = re.compile(r'^export interface (\w+?)(?: extends [\w.]+)? \{\n(.*?)^\}', re.M | re.S)
ATTRIBUTE = re.compile(r'^  // (\S+) - computed: (\w+), optional: (\w+), required: (\w+)\n', re.M)
TO_HCL = re.compile(r'^export function (\w+)ToHclTerraform\(.*?\n(.*?)^\}', re.M | re.S)
HCL_ENTRY = re.compile(r'^(\s+)"?([\w]+)"?: \{\n\s+value: ([^\n]*),\n\s+isBlock: (true|false),\n\s+type: "(\w+)",\n'
                       r'\s+storageClassType: "([^"]*)",', re.M)
SYNTHESIZE = re.compile(r'protected synthesizeHclAttributes\(\).*?\n  \}', re.S)
MEMBER_DOC = re.compile(r'/\*\*\n((?:  \*.*\n)+?)  \*/\n  readonly \w+\??: ')
RESOURCE_TYPE = re.compile(r'public static readonly tfResourceType = "(\w+)"')


def storage_type(name):
    """'stringListMap' -> ['map', ['list', 'string']]; None if it is no primitive or collection of one."""
    for word, cty in PRIMITIVE.items():
        if not name.startswith(word):
            continue
        rest = name[len(word):]
        while rest:
            for suffix, kind in COLLECTION:
                if rest.startswith(suffix):
                    cty, rest = [kind, cty], rest[len(suffix):]
                    break
            else:
                return None
        return cty
    return None


def enumeration(doc):
    """The values that the documentation lists: google and cloudflare write them in two fixed phrases."""
    found = re.search(r'Possible values: \[([^\]]*)\]', doc)
    if found:
        return re.findall(r'"([^"]*)"', found[1]) or None
    found = re.search(r'Available values: ((?:`[^`]*`(?:, | and )?)+)', doc)
    return [v.strip('"') for v in re.findall(r'`([^`]*)`', found[1])] if found else None


def as_type(block):
    """The cty object type of a block, for attributes that are objects."""
    members = {n: attribute_type(a) for n, a in block.get('attributes', {}).items()}
    for name, nested in block.get('block_types', {}).items():
        inner = as_type(nested['block'])
        members[name] = inner if nested['nesting_mode'] == 'single' else [nested['nesting_mode'], inner]
    return ['object', members]


def attribute_type(attribute):
    if 'type' in attribute:
        return attribute['type']
    nested = attribute['nested_type']
    inner = as_type(nested)
    return inner if nested['nesting_mode'] == 'single' else [nested['nesting_mode'], inner]


def has_dynamic(block):
    own = any('dynamic' in json.dumps(a.get('type')).split('"') for a in block.get('attributes', {}).values())
    return own or any(has_dynamic(n['block']) for n in block.get('block_types', {}).values())


class Module:
    """All TypeScript of one lib/<module>: one resource, data source or provider and its structs."""

    def __init__(self, name, source, unresolved):
        self.name, self.source, self.unresolved = name, source, unresolved
        self.classes = {m[1]: (m[2], m[3]) for m in CLASS.finditer(source)}
        self.to_hcl = {m[1].lower(): m[2] for m in TO_HCL.finditer(source)}
        self.enums, self.declared_blocks = {}, set()
        for interface in INTERFACE.finditer(source):
            for member in MEMBER_DOC.finditer(interface[2]):
                anchor = re.search(r'#(\w+) \w+#', member[1])
                if not anchor:
                    continue
                key = (interface[1], anchor[1])
                values = enumeration(member[1])
                if values:
                    self.enums[key] = values
                # The doc of a block starts with "NAME block"; that is the only reliable sign of one.
                if re.match(r'  \* %s block$' % re.escape(anchor[1]), member[1].split('\n')[0].rstrip()):
                    self.declared_blocks.add(key)

    @staticmethod
    def entries(text):
        return {m[2]: {'value': m[3], 'type': m[5], 'storage': m[6]} for m in HCL_ENTRY.finditer(text)}

    @staticmethod
    def attributes(body):
        parts = ATTRIBUTE.split(body)
        for i in range(1, len(parts), 5):
            yield parts[i], *(flag == 'true' for flag in parts[i + 1:i + 4]), parts[i + 4]

    def block(self, class_name):
        """(block, is_object): the block of a resource or *OutputReference class; is_object if it is a plain
        object value and not a nested block, which shows in every member being written as null when unset."""
        body = self.classes[class_name][1]
        if class_name.endswith('OutputReference'):
            interface = class_name[:-len('OutputReference')]
            text = self.to_hcl.get(interface.lower(), '')
        else:
            interface = class_name + 'Config'
            found = SYNTHESIZE.search(body)
            text = found[0] if found else ''
        entries = self.entries(text)
        is_object = bool(entries) and all('=== undefined ? null :' in e['value'] for e in entries.values())
        out = {'attributes': {}, 'block_types': {}}
        for name, computed, optional, required, code in self.attributes(body):
            entry = entries.get(name)
            flags = {k: True for k, v in
                     (('required', required), ('optional', optional), ('computed', computed)) if v}
            struct = re.search(r'= new (\w+?)(OutputReference|List|Map)\(this, "[^"]+"(?:, (true|false))?\)', code)
            if struct and struct[1] != 'cdktf' and struct[1] + 'OutputReference' in self.classes:
                self.add_struct(out, interface, name, entry, flags, struct)
            elif self.is_provider_block(code):
                self.add_provider_block(out, name, code)
            else:
                cty = self.simple_type(class_name, name, entry, code)
                out['attributes'][name] = {'type': cty, **flags}
                if cty == 'string' and (interface, name) in self.enums:
                    out['attributes'][name]['enum'] = self.enums[(interface, name)]
        if not out['block_types']:
            del out['block_types']
        return out, is_object

    def add_struct(self, out, interface, name, entry, flags, struct):
        child, child_is_object = self.block(struct[1] + 'OutputReference')
        nesting = {'List': 'list', 'Map': 'map', 'OutputReference': 'single'}[struct[2]]
        if nesting == 'list' and struct[3] == 'true':
            nesting = 'set'
        collection = entry['type'] if entry and entry['type'] in ('list', 'set', 'map') else None
        if (interface, name) in self.declared_blocks or not flags:
            nested = {'nesting_mode': nesting, 'block': child}
            if nesting == 'single' and collection in ('list', 'set'):
                nested.update(nesting_mode=collection, max_items=1)
            if flags.get('required') and nested['nesting_mode'] != 'map':
                nested['min_items'] = 1
            if flags.get('required') and nested['nesting_mode'] == 'single':
                nested['max_items'] = 1
            out['block_types'][name] = nested
            return
        if nesting == 'single' and collection:
            nesting = collection
        if child_is_object or not entry:
            cty = as_type(child)
            out['attributes'][name] = {'type': cty if nesting == 'single' else [nesting, cty], **flags}
        else:
            nested = {'nesting_mode': nesting, 'attributes': child['attributes']}
            out['attributes'][name] = {'nested_type': nested, **flags}

    def provider_block_class(self, code):
        return re.match(r"  private _\w+\?: (\w+)(\[\])?(?: \|.*)?;", code)

    def is_provider_block(self, code):
        found = self.provider_block_class(code)
        return bool(found) and found[1].lower() in self.to_hcl

    def add_provider_block(self, out, name, code):
        """Blocks of the provider itself (default_tags, ...) have an interface but no class."""
        found = self.provider_block_class(code)
        interface = re.search(r'^export interface %s \{\n(.*?)^\}' % found[1], self.source, re.M | re.S)
        required = set(re.findall(r'#(\w+) \w+#\w+\}\n(?:  \*.*\n)*?  \*/\n  readonly \w+: ', interface[1])) \
            if interface else set()
        attributes = {}
        for member, entry in self.entries(self.to_hcl[found[1].lower()]).items():
            cty = storage_type(entry['storage']) or 'string'
            if isinstance(cty, list) and entry['type'] in ('set', 'list', 'map'):
                cty[0] = entry['type']
            attributes[member] = {'type': cty, ('required' if member in required else 'optional'): True}
        out['block_types'][name] = {'nesting_mode': 'list', 'block': {'attributes': attributes},
                                    **({} if found[2] else {'max_items': 1})}

    def simple_type(self, class_name, name, entry, code):
        cty = storage_type(entry['storage']) if entry else None
        if isinstance(cty, list) and entry['type'] in ('set', 'list', 'map'):
            cty[0] = entry['type']
        if cty is not None:
            return cty
        if 'new cdktf.' in code:
            found = re.search(r'new cdktf\.(\w+)\(this, "[^"]+"(?:, (true|false))?', code)
            cty = storage_type(found[1][0].lower() + found[1][1:])
            if found[2] == 'true' and isinstance(cty, list):
                cty[0] = 'set'
            return cty
        for getter, known in GETTER.items():
            if getter in code:
                return known
        self.unresolved.append((self.name, class_name, name))
        return 'dynamic'


def sources(tarball):
    """(package.json, {module: TypeScript of its files}) from the source maps of the tarball."""
    package, modules = None, collections.defaultdict(list)
    with tarfile.open(tarball, 'r:gz') as tar:
        for member in tar:
            if member.name == 'package/package.json':
                package = json.load(tar.extractfile(member))
                continue
            parts = member.name.split('/')
            if len(parts) < 4 or parts[1] != 'lib' or not parts[-1].endswith('.js'):
                continue
            text = tar.extractfile(member).read()
            at = text.rfind(b'base64,')
            if at >= 0:
                source_map = json.loads(base64.b64decode(text[at + len(b'base64,'):].strip()))
                modules[parts[2]].append(source_map['sourcesContent'][0])
    return package, {name: '\n'.join(files) for name, files in modules.items()}


def extract(tarball, wanted=None):
    package, modules = sources(tarball)
    with open(tarball, 'rb') as f:
        integrity = 'sha512-' + base64.b64encode(hashlib.sha512(f.read()).digest()).decode()
    provider, resources, data_sources, unresolved, dropped = None, {}, {}, [], []
    for module_name, source in modules.items():
        found = RESOURCE_TYPE.search(source)
        if not found and 'extends cdktf.TerraformProvider' not in source:
            continue
        module = Module(module_name, source, unresolved)
        for class_name, (base, _) in module.classes.items():
            if base == 'TerraformProvider':
                provider = {'version': 0, 'block': module.block(class_name)[0]}
            elif base in ('TerraformResource', 'TerraformDataSource') and (not wanted or found[1] in wanted):
                into = resources if base == 'TerraformResource' else data_sources
                into[found[1]] = {'version': 0, 'block': module.block(class_name)[0]}
    for group in (resources, data_sources):
        # The generator cuts endless recursion to "any": such a type is lost, and half a schema would lie.
        for name in [n for n, s in group.items() if has_dynamic(s['block'])]:
            dropped.append(name)
            del group[name]
    wraps = (package.get('cdktf') or package.get('cdktn'))['provider']
    schema = {
        'derived_from': {'package': package['name'], 'version': package['version'], 'integrity': integrity},
        'source': wraps['name'], 'provider_version': wraps['version'], 'provider': provider,
        'resource_schemas': resources, 'data_source_schemas': data_sources,
    }
    return schema, unresolved, dropped


def types(path):
    """The names in a file of types; `#` begins a comment line."""
    with open(path) as lines:
        return {name for line in lines if not line.startswith('#') for name in line.split()}


def to_text(schema):
    """One type a line, sorted, so that a change reads as a difference."""
    compact = lambda value: json.dumps(value, separators=(',', ':'), sort_keys=True)
    parts = []
    for key, value in schema.items():
        if key.endswith('_schemas'):
            lines = ',\n'.join(f'{compact(name)}:{compact(value[name])}' for name in sorted(value))
            parts.append(f'{compact(key)}:{{\n{lines}\n}}')
        else:
            parts.append(f'{compact(key)}:{compact(value)}')
    return '{' + ',\n'.join(parts) + '}\n'


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    wanted = types(sys.argv[3]) if len(sys.argv) > 3 else None
    schema, unresolved, dropped = extract(sys.argv[1], wanted)
    with open(sys.argv[2], 'w') as out:
        out.write(to_text(schema))
    print(schema['source'], schema['provider_version'], len(schema['resource_schemas']), 'resources,',
          len(schema['data_source_schemas']), 'data sources, dropped', sorted(dropped), 'unresolved', unresolved[:5])


if __name__ == '__main__':
    main()
