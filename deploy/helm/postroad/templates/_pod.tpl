{{- /* What every pod has: no rights, and the files that its role may read. */ -}}
{{- define "postroad.pod" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
serviceAccountName: {{ include "postroad.name" $root }}-{{ .of }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
volumes:
  - name: configuration
    configMap:
      name: {{ include "postroad.name" $root }}-configuration
      items:
        - key: {{ .of }}.toml
          path: postroad.toml
  {{- if not (has .of (list "alert" "prepare")) }}
  - name: sealing
    secret:
      secretName: {{ include "postroad.sealing.secret" $root }}
      defaultMode: 0440
  {{- end }}
  {{- if ne (include "postroad.tls.mode" $root) "off" }}
  - name: tls
    secret:
      secretName: {{ include "postroad.certificate.secret" (dict "root" $root "of" .of) }}
      defaultMode: 0440
  {{- end }}
  {{- if and (not $values.nats.enabled) $values.externalNats.credentials.existingSecret }}
  - name: nats
    secret:
      secretName: {{ $values.externalNats.credentials.existingSecret }}
      defaultMode: 0440
      items:
        - key: {{ $values.externalNats.credentials.key }}
          path: nats.creds
  {{- end }}
  {{- if and (has .of (list "alert" "operator")) $values.smtp.host $values.smtp.existingSecret }}
  - name: smtp
    secret:
      secretName: {{ $values.smtp.existingSecret }}
      defaultMode: 0440
      items:
        - key: {{ $values.smtp.key }}
          path: password
  {{- end }}
  {{- if and (eq .of "operator") (include "postroad.nats.users" $root) }}
  - name: profile-tls
    secret:
      secretName: {{ include "postroad.certificate.secret" (dict "root" $root "of" "profile") }}
      defaultMode: 0440
  {{- end }}
  {{- if eq (include "postroad.tls.mode" $root) "off" }}
  - name: token
    secret:
      secretName: {{ $values.token.existingSecret | default (printf "%s-token" (include "postroad.name" $root)) }}
      defaultMode: 0440
  {{- end }}
  {{- if and (not $values.nats.enabled) $values.externalNats.authority.existingSecret }}
  - name: nats-authority
    secret:
      secretName: {{ $values.externalNats.authority.existingSecret }}
      defaultMode: 0440
      items:
        - key: {{ $values.externalNats.authority.key }}
          path: ca.crt
  {{- end }}
  {{- with $values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "postroad.container" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
image: {{ include "postroad.image" $root | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
env:
  - name: POSTROAD_LOG
    value: {{ $values.log | quote }}
volumeMounts:
  - name: configuration
    mountPath: /etc/postroad/configuration
    readOnly: true
  {{- if not (has .of (list "alert" "prepare")) }}
  - name: sealing
    mountPath: /etc/postroad/sealing
    readOnly: true
  {{- end }}
  {{- if ne (include "postroad.tls.mode" $root) "off" }}
  - name: tls
    mountPath: /etc/postroad/tls
    readOnly: true
  {{- end }}
  {{- if and (not $values.nats.enabled) $values.externalNats.credentials.existingSecret }}
  - name: nats
    mountPath: /etc/postroad/nats
    readOnly: true
  {{- end }}
  {{- if and (has .of (list "alert" "operator")) $values.smtp.host $values.smtp.existingSecret }}
  - name: smtp
    mountPath: /etc/postroad/smtp
    readOnly: true
  {{- end }}
  {{- if and (eq .of "operator") (include "postroad.nats.users" $root) }}
  - name: profile-tls
    mountPath: /etc/postroad/profile-tls
    readOnly: true
  {{- end }}
  {{- if eq (include "postroad.tls.mode" $root) "off" }}
  - name: token
    mountPath: /etc/postroad/token
    readOnly: true
  {{- end }}
  {{- if and (not $values.nats.enabled) $values.externalNats.authority.existingSecret }}
  - name: nats-authority
    mountPath: /etc/postroad/nats-authority
    readOnly: true
  {{- end }}
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
