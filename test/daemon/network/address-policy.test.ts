import test from 'ava';
import { isAddressAllowed } from '../../../daemon/network/address-policy.ts';

for (const [what, addresses] of [
  ['this machine', ['127.0.0.1', '127.255.255.254', '::1', '0.0.0.0', '0.1.2.3', '::']],
  ['private networks', ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fc00::1', 'fd12::1', 'fec0::1']],
  ['the neighbours', ['169.254.1.1', 'fe80::1', 'fe80::1%eth0', '100.64.0.1', '100.127.255.255']],
  [
    'metadata services',
    [
      '169.254.169.254',
      '169.254.170.2',
      'fd00:ec2::254',
      'fd20:ce::254',
      '100.100.100.200',
      '168.63.129.16',
      '192.0.0.192',
    ],
  ],
  ['multicast and broadcast', ['224.0.0.1', '239.255.255.255', '255.255.255.255', 'ff02::1']],
  [
    'what is reserved',
    [
      '192.0.0.1',
      '192.0.2.1',
      '198.18.0.1',
      '198.19.255.255',
      '198.51.100.1',
      '203.0.113.1',
      '240.0.0.1',
      '192.88.99.1',
    ],
  ],
  ['what is reserved in IPv6', ['100::1', '2001:db8::1', '2001:2::1', '2001:10::1', '3fff::1', '4000::1', '5f00::1']],
  ['IPv4-mapped forms', ['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:10.0.0.1', '::ffff:169.254.169.254']],
  ['IPv4-compatible forms', ['::127.0.0.1', '::7f00:1', '::808:808']],
  ['6to4 forms', ['2002:7f00:1::', '2002:a00:1::1', '2002:a9fe:a9fe::']],
  ['NAT64 forms', ['64:ff9b::7f00:1', '64:ff9b::169.254.169.254', '64:ff9b:1::808:808', '::ffff:0:127.0.0.1']],
  ['Teredo forms', ['2001:0:7f00:1::f7f7:f7f7', '2001:0:808:808::80ff:fffe', '2001::f5ff:fffe']],
  ['ISATAP forms', ['2600::5efe:7f00:1', '2600::200:5efe:a00:1']],
  [
    'what is no address',
    ['', 'localhost', '127.1', '0x7f000001', '2130706433', '0177.0.0.1', '1.2.3.4.5', '[::1]', '08.8.8.8'],
  ],
] as const) {
  test(`H01: refuses ${what}`, (t) => {
    for (const address of addresses) t.false(isAddressAllowed(address, []), address);
  });
}

test('lets public addresses through, in every form', (t) => {
  for (const address of [
    '8.8.8.8',
    '1.1.1.1',
    '172.32.0.1',
    '100.128.0.1',
    '198.20.0.1',
    '2600::1',
    '2a00:1450:4001::200e',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
    '2002:808:808::1',
  ]) {
    t.true(isAddressAllowed(address, []), address);
  }
});

test('lets through what is listed, as an address and as a range, and nothing beside it', (t) => {
  t.true(isAddressAllowed('127.0.0.1', ['127.0.0.1']));
  t.false(isAddressAllowed('127.0.0.2', ['127.0.0.1']));
  t.true(isAddressAllowed('10.255.0.1', ['192.168.0.0/16', '10.0.0.0/8']));
  t.false(
    isAddressAllowed('11.0.0.1', ['10.0.0.0/9', '127.0.0.1/32']) && isAddressAllowed('10.128.0.1', ['10.0.0.0/9']),
  );
  t.true(isAddressAllowed('fd12::1', ['fd00::/8']));
  t.false(isAddressAllowed('fe80::1', ['fd00::/8']));
  t.true(isAddressAllowed('127.0.0.1', ['0.0.0.0/0']));
  t.false(isAddressAllowed('::1', ['0.0.0.0/0']));
});

test('an IPv4-mapped address is listed as the IPv4 address that it is, and the other forms only as themselves', (t) => {
  t.true(isAddressAllowed('::ffff:127.0.0.1', ['127.0.0.0/8']));
  t.true(isAddressAllowed('127.0.0.1', ['::ffff:127.0.0.1']));
  t.false(isAddressAllowed('64:ff9b::7f00:1', ['127.0.0.0/8']));
  t.true(isAddressAllowed('64:ff9b::7f00:1', ['64:ff9b::/96']));
});

test('a malformed entry lists nothing', (t) => {
  for (const entry of [
    '',
    '/',
    '127.0.0.1/',
    '127.0.0.1/33',
    '127.0.0.1/-1',
    '127.0.0.1/8/8',
    '127.0.0.1/0x8',
    '*',
    '127/8',
  ]) {
    t.false(isAddressAllowed('127.0.0.1', [entry]), entry);
  }
});
