;; PostgreSQL's page checksum (pg_checksum_page in src/include/storage/checksum_impl.h), four lanes of its 32 to a
;; vector. scripts/build-page-checksum.ts assembles this file into src/postgres/page-checksum-wasm.ts.
;;
;; A page is taken as rows of 32 words. Each lane mixes in its column:  t = sum ^ word;  sum = t * prime ^ (t >> 17)
;; then two rows of zeros; the lanes are XORed together, then the block number is, and the result is folded into 1..65535.
;; The checksum field itself (bytes 8 and 9) counts as zero; it is masked on the way in, so that pages stay untouched.
(module
  (import "host" "memory" (memory 1))

  ;; The checksum that the page of $size bytes at $page must have as block number $block of its relation.
  (func $checksum (export "checksum") (param $page i32) (param $size i32) (param $block i32) (result i32)
    (local $end i32) (local $round i32) (local $prime v128)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128) (local $s4 v128) (local $s5 v128) (local $s6 v128) (local $s7 v128)
    (local.set $prime (v128.const i32x4 16777619 16777619 16777619 16777619))
    (local.set $end (i32.add (local.get $page) (local.get $size)))
    ;; checksumBaseOffsets
    (local.set $s0 (v128.const i32x4 0x5B1F36E9 0xB8525960 0x02AB50AA 0x1DE66D2A))
    (local.set $s1 (v128.const i32x4 0x79FF467A 0x9BB9F8A3 0x217E7CD2 0x83E13D2C))
    (local.set $s2 (v128.const i32x4 0xF8D4474F 0xE39EB970 0x42C6AE16 0x993216FA))
    (local.set $s3 (v128.const i32x4 0x7B093B5D 0x98DAFF3C 0xF718902A 0x0B1C9CDB))
    (local.set $s4 (v128.const i32x4 0xE58F764B 0x187636BC 0x5D7B3BB1 0xE73DE7DE))
    (local.set $s5 (v128.const i32x4 0x92BEC979 0xCCA6C0B2 0x304A0979 0x85AA43D4))
    (local.set $s6 (v128.const i32x4 0x783125BB 0x6CA8EAA2 0xE407EAC6 0x4B5CFC3E))
    (local.set $s7 (v128.const i32x4 0x9FBF8C76 0x15CA20BE 0xF2CA9FD3 0x959BD756))

    ;; First row: the checksum is the lower half of the third word.
    (local.set $s0 (v128.xor (local.get $s0)
      (v128.and (v128.load (local.get $page)) (v128.const i32x4 -1 -1 0xFFFF0000 -1))))
    (local.set $s1 (v128.xor (local.get $s1) (v128.load offset=16 (local.get $page))))
    (local.set $s2 (v128.xor (local.get $s2) (v128.load offset=32 (local.get $page))))
    (local.set $s3 (v128.xor (local.get $s3) (v128.load offset=48 (local.get $page))))
    (local.set $s4 (v128.xor (local.get $s4) (v128.load offset=64 (local.get $page))))
    (local.set $s5 (v128.xor (local.get $s5) (v128.load offset=80 (local.get $page))))
    (local.set $s6 (v128.xor (local.get $s6) (v128.load offset=96 (local.get $page))))
    (local.set $s7 (v128.xor (local.get $s7) (v128.load offset=112 (local.get $page))))
    (local.set $s0 (v128.xor (i32x4.mul (local.get $s0) (local.get $prime)) (i32x4.shr_u (local.get $s0) (i32.const 17))))
    (local.set $s1 (v128.xor (i32x4.mul (local.get $s1) (local.get $prime)) (i32x4.shr_u (local.get $s1) (i32.const 17))))
    (local.set $s2 (v128.xor (i32x4.mul (local.get $s2) (local.get $prime)) (i32x4.shr_u (local.get $s2) (i32.const 17))))
    (local.set $s3 (v128.xor (i32x4.mul (local.get $s3) (local.get $prime)) (i32x4.shr_u (local.get $s3) (i32.const 17))))
    (local.set $s4 (v128.xor (i32x4.mul (local.get $s4) (local.get $prime)) (i32x4.shr_u (local.get $s4) (i32.const 17))))
    (local.set $s5 (v128.xor (i32x4.mul (local.get $s5) (local.get $prime)) (i32x4.shr_u (local.get $s5) (i32.const 17))))
    (local.set $s6 (v128.xor (i32x4.mul (local.get $s6) (local.get $prime)) (i32x4.shr_u (local.get $s6) (i32.const 17))))
    (local.set $s7 (v128.xor (i32x4.mul (local.get $s7) (local.get $prime)) (i32x4.shr_u (local.get $s7) (i32.const 17))))
    (local.set $page (i32.add (local.get $page) (i32.const 128)))

    (loop $row
      (local.set $s0 (v128.xor (local.get $s0) (v128.load offset=0 (local.get $page))))
      (local.set $s1 (v128.xor (local.get $s1) (v128.load offset=16 (local.get $page))))
      (local.set $s2 (v128.xor (local.get $s2) (v128.load offset=32 (local.get $page))))
      (local.set $s3 (v128.xor (local.get $s3) (v128.load offset=48 (local.get $page))))
      (local.set $s4 (v128.xor (local.get $s4) (v128.load offset=64 (local.get $page))))
      (local.set $s5 (v128.xor (local.get $s5) (v128.load offset=80 (local.get $page))))
      (local.set $s6 (v128.xor (local.get $s6) (v128.load offset=96 (local.get $page))))
      (local.set $s7 (v128.xor (local.get $s7) (v128.load offset=112 (local.get $page))))
      (local.set $s0 (v128.xor (i32x4.mul (local.get $s0) (local.get $prime)) (i32x4.shr_u (local.get $s0) (i32.const 17))))
      (local.set $s1 (v128.xor (i32x4.mul (local.get $s1) (local.get $prime)) (i32x4.shr_u (local.get $s1) (i32.const 17))))
      (local.set $s2 (v128.xor (i32x4.mul (local.get $s2) (local.get $prime)) (i32x4.shr_u (local.get $s2) (i32.const 17))))
      (local.set $s3 (v128.xor (i32x4.mul (local.get $s3) (local.get $prime)) (i32x4.shr_u (local.get $s3) (i32.const 17))))
      (local.set $s4 (v128.xor (i32x4.mul (local.get $s4) (local.get $prime)) (i32x4.shr_u (local.get $s4) (i32.const 17))))
      (local.set $s5 (v128.xor (i32x4.mul (local.get $s5) (local.get $prime)) (i32x4.shr_u (local.get $s5) (i32.const 17))))
      (local.set $s6 (v128.xor (i32x4.mul (local.get $s6) (local.get $prime)) (i32x4.shr_u (local.get $s6) (i32.const 17))))
      (local.set $s7 (v128.xor (i32x4.mul (local.get $s7) (local.get $prime)) (i32x4.shr_u (local.get $s7) (i32.const 17))))
      (br_if $row (i32.lt_u (local.tee $page (i32.add (local.get $page) (i32.const 128))) (local.get $end))))

    ;; Two rows of zeros.
    (loop $zeros
      (local.set $s0 (v128.xor (i32x4.mul (local.get $s0) (local.get $prime)) (i32x4.shr_u (local.get $s0) (i32.const 17))))
      (local.set $s1 (v128.xor (i32x4.mul (local.get $s1) (local.get $prime)) (i32x4.shr_u (local.get $s1) (i32.const 17))))
      (local.set $s2 (v128.xor (i32x4.mul (local.get $s2) (local.get $prime)) (i32x4.shr_u (local.get $s2) (i32.const 17))))
      (local.set $s3 (v128.xor (i32x4.mul (local.get $s3) (local.get $prime)) (i32x4.shr_u (local.get $s3) (i32.const 17))))
      (local.set $s4 (v128.xor (i32x4.mul (local.get $s4) (local.get $prime)) (i32x4.shr_u (local.get $s4) (i32.const 17))))
      (local.set $s5 (v128.xor (i32x4.mul (local.get $s5) (local.get $prime)) (i32x4.shr_u (local.get $s5) (i32.const 17))))
      (local.set $s6 (v128.xor (i32x4.mul (local.get $s6) (local.get $prime)) (i32x4.shr_u (local.get $s6) (i32.const 17))))
      (local.set $s7 (v128.xor (i32x4.mul (local.get $s7) (local.get $prime)) (i32x4.shr_u (local.get $s7) (i32.const 17))))
      (br_if $zeros (i32.lt_u (local.tee $round (i32.add (local.get $round) (i32.const 1))) (i32.const 2))))

    (local.set $s0 (v128.xor
      (v128.xor (v128.xor (local.get $s0) (local.get $s1)) (v128.xor (local.get $s2) (local.get $s3)))
      (v128.xor (v128.xor (local.get $s4) (local.get $s5)) (v128.xor (local.get $s6) (local.get $s7)))))
    (i32.add (i32.const 1)
      (i32.rem_u
        (i32.xor (local.get $block)
          (i32.xor
            (i32.xor (i32x4.extract_lane 0 (local.get $s0)) (i32x4.extract_lane 1 (local.get $s0)))
            (i32.xor (i32x4.extract_lane 2 (local.get $s0)) (i32x4.extract_lane 3 (local.get $s0)))))
        (i32.const 65535))))

  ;; 1 when the $size bytes at $page are all zero.
  (func $is_zero (param $page i32) (param $size i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $page) (local.get $size)))
    (loop $next
      (if (v128.any_true (v128.load (local.get $page))) (then (return (i32.const 0))))
      (br_if $next (i32.lt_u (local.tee $page (i32.add (local.get $page) (i32.const 16))) (local.get $end))))
    (i32.const 1))

  ;; Looks at the $pages pages that start at address 0, the first of which is block $first, and writes the index of
  ;; every bad one as an i32 to $out; returns how many. Good are: a page of zeros; a page whose LSN lies in $from..$to; a
  ;; page with pd_upper whose checksum is right.
  (func (export "find_bad")
    (param $pages i32) (param $size i32) (param $first i32) (param $from i64) (param $to i64) (param $out i32)
    (result i32)
    (local $index i32) (local $page i32) (local $bad i32) (local $lsn i64)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $index) (local.get $pages)))
        (block $good
          ;; pd_upper is 0 on a page that was never initialized (PageIsNew): it must hold nothing else.
          (if (i32.load16_u offset=14 (local.get $page))
            (then
              ;; pd_lsn is stored as two words, the high one first.
              (local.set $lsn (i64.rotl (i64.load (local.get $page)) (i64.const 32)))
              (br_if $good (i32.and
                (i64.ge_u (local.get $lsn) (local.get $from))
                (i64.le_u (local.get $lsn) (local.get $to))))
              (br_if $good (i32.eq
                (i32.load16_u offset=8 (local.get $page))
                (call $checksum (local.get $page) (local.get $size)
                  (i32.add (local.get $first) (local.get $index))))))
            (else (br_if $good (call $is_zero (local.get $page) (local.get $size)))))
          (i32.store (i32.add (local.get $out) (i32.shl (local.get $bad) (i32.const 2))) (local.get $index))
          (local.set $bad (i32.add (local.get $bad) (i32.const 1))))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (local.set $page (i32.add (local.get $page) (local.get $size)))
        (br $next)))
    (local.get $bad)))
