to: frontend/src/pages/{{ snake_plural }}/New.tsx
skip_exists: true
message: "Frontend `New` page for `{{ pascal_singular }}` was added successfully."
---
import { useState, type SubmitEvent } from 'react'
import { useNavigate } from 'react-router'
import { useCreate{{ pascal_singular }} } from '../../api/{{ snake_plural }}'
import type { Create{{ pascal_singular }} } from '../../bindings/Create{{ pascal_singular }}'
{%- for enum in enums %}
import type { {{ enum.enum_type }} } from '../../bindings/{{ enum.enum_type }}'
{%- endfor %}
import { Page } from '../../components/Page'
{% for enum in enums %}
const {{ enum.options_const }}: {{ enum.enum_type }}[] = [{% for variant in enum.variants %}'{{ variant.value }}'{% if not loop.last %}, {% endif %}{% endfor %}]
{% endfor %}
export function New() {
  const navigate = useNavigate()
  const create = useCreate{{ pascal_singular }}()
  const [values, setValues] = useState<Create{{ pascal_singular }}>({
{%- for field in fields %}
    {{ field.field_name }}: {{ field.initial_value }},
{%- endfor %}
  })

  function handleSubmit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault()
    if (create.isPending) {
      return
    }
    create.mutate(values, { onSuccess: ({ id }) => void navigate(`/{{ snake_plural }}/${id}`) })
  }

  return (
    <Page title="New {{ pascal_singular }}">
      <form onSubmit={handleSubmit}>
        <Fields values={values} onChange={setValues} />
        {create.error && <p className="problems" role="alert">{create.error.message}</p>}
        <button type="submit" aria-disabled={create.isPending}>
          Save
        </button>
      </form>
    </Page>
  )
}

interface FieldsProps {
  values: Create{{ pascal_singular }}
  onChange: (values: Create{{ pascal_singular }}) => void
}

/** The fields of a form for a new or an existing {{ pascal_singular }}. An empty field is null where the column takes it. */
export function Fields({ values, onChange }: FieldsProps) {
  return (
    <>
{%- for field in fields %}
{%- set name = field.field_name %}
{%- if field.input_kind == "checkbox" %}
      <div className="field">
        <label>
          <input
            type="checkbox"
            checked={values.{{ name }}{% if field.nullable %} ?? false{% endif %}}
            onChange={(event) => onChange({ ...values, {{ name }}: event.target.checked })}
          />{' '}
          {{ field.label }}
        </label>
      </div>
{%- else %}
      <div className="field">
        <label htmlFor="{{ name }}">{{ field.label }}</label>
{%- if field.input_kind == "select" %}
        <select
          id="{{ name }}"
          value={values.{{ name }}{% if field.nullable %} ?? ''{% endif %}}
          onChange={(event) =>
{%- if field.nullable %}
            onChange({ ...values, {{ name }}: (event.target.value || null) as {{ field.enum_type }} | null })
{%- else %}
            onChange({ ...values, {{ name }}: event.target.value as {{ field.enum_type }} })
{%- endif %}
          }
        >
{%- if field.nullable %}
          <option value="">–</option>
{%- endif %}
          {{ "{" }}{{ field.options_const }}.map((option) => (
            <option key={option} value={option}>
              {option}
            </option>
          ))}
        </select>
{%- elif field.input_kind == "number" %}
        <input
          id="{{ name }}"
          type="number"
{%- if field.rust_type is containing("f32") or field.rust_type is containing("f64") %}
          step="any"
{%- endif %}
{%- if field.nullable %}
          value={values.{{ name }} ?? ''}
          onChange={(event) =>
            onChange({ ...values, {{ name }}: event.target.value === '' ? null : Number(event.target.value) })
          }
{%- else %}
          required
          defaultValue={values.{{ name }}}
          onChange={(event) => {
            if (event.target.value !== '') {
              onChange({ ...values, {{ name }}: Number(event.target.value) })
            }
          }}
{%- endif %}
        />
{%- elif field.input_kind == "datetime" and field.rust_type is containing("DateTime") %}
        <input
          id="{{ name }}"
          type="datetime-local"
          max="9999-12-31T23:59"
{%- if not field.nullable %}
          required
{%- endif %}
{%- if field.rust_type is containing("WithTimeZone") %}
{%- set_global has_moments = true %}
          defaultValue={localTime(values.{{ name }})}
          onChange={(event) => onChange({ ...values, {{ name }}: moment(event.target.value){% if field.nullable %} || null{% endif %} })}
{%- elif field.nullable %}
          defaultValue={values.{{ name }}?.slice(0, 16)}
          onChange={(event) =>
            onChange({ ...values, {{ name }}: event.target.value ? `${event.target.value}:00` : null })
          }
{%- else %}
          defaultValue={values.{{ name }}.slice(0, 16)}
          onChange={(event) => onChange({ ...values, {{ name }}: `${event.target.value}:00` })}
{%- endif %}
        />
{%- else %}
        <{% if field.input_kind == "textarea" %}textarea{% else %}input{% endif %}
          id="{{ name }}"
{%- if field.input_kind == "date" %}
          type="date"
{%- elif field.input_kind == "datetime" %}
          type="time"
          step="any"
{%- endif %}
{%- if field.nullable %}
          value={values.{{ name }} ?? ''}
          onChange={(event) => onChange({ ...values, {{ name }}: event.target.value || null })}
{%- else %}
          required
          value={values.{{ name }}}
          onChange={(event) => onChange({ ...values, {{ name }}: event.target.value })}
{%- endif %}
        />
{%- endif %}
      </div>
{%- endif %}
{%- endfor %}
    </>
  )
}
{%- if has_moments %}

/** A timestamp as its field shows it. */
function localTime(moment: string | null): string {
  if (!moment) {
    return ''
  }
  const date = new Date(moment)
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

/** The timestamp that a field shows, the same in every time zone. */
function moment(localTime: string): string {
  return localTime && new Date(localTime).toISOString()
}
{%- endif %}
